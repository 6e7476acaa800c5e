"""Evidence that a model ran: activation fingerprints and seeded sampling, and how to check both."""
