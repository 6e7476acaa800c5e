"""Yuma consensus: from weights, stakes and bonds to who is paid what.

    outcome = epoch(SubnetEpoch(n=..., current_block=..., ...))

`SubnetEpoch` and `EpochOutcome` (module `types`) are the whole interface: plain integers and
stored rows in, tuples of integers and stored rows out. `epoch` is the numpy engine;
`reference.epoch` computes the same bits on Python integers and settles every doubt.
"""
