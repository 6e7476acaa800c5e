"""Ganglion: a Bittensor-style network in one readable package; this part is the SDK."""
