"""Attestation: what trusted hardware says about the program that holds a key, and its verifiers."""
