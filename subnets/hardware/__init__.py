"""Proof of hardware: how fast a miner multiplies matrices, claimed by it and checked by others."""
