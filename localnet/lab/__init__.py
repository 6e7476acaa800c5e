"""The incentive laboratory: who earns what when some do not play fair.

A scenario is a small Python file (`scenarios/`) that says which groups of validators and miners
there are. `play` runs it epoch by epoch on the chain's own consensus engine; reports, plots and
sweeps read the history. What validators think is made up with floating point and a seed; what
they are paid is the real thing, to the bit.
"""
