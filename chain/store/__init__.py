"""The node's memory: blocks, states and a few side notes, in one embedded database."""
