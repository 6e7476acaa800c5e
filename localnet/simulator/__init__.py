"""A seeded economy: random calls on the real executive, to the same state root each time."""
