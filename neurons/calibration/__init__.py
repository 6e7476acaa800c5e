"""How far honest miners stray from a verifier: measured, and written as a model's thresholds."""
