"""Yuma consensus: from weights, stakes and bonds to who is paid what."""
