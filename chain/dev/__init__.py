"""Tools of a developers' node: time, storage, snapshots, simulations, ready-made subnets.

None of this exists on a node that was not started for development.
"""
