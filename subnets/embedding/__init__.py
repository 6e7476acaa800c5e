"""The embedding subnet: what is asked of miners and how an answer is judged."""
