"""Arithmetic that gives the same bits on every machine, and what disputes about it rest on."""
