"""Inference engines: one interface, a bit-exact CPU engine, transformers, and a batcher."""
