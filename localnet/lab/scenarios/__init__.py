"""The scenarios that come with the laboratory; each file tells its own story."""
