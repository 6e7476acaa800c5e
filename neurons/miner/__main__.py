"""`python -m neurons.miner`: the same as `neuron-miner`."""

from neurons.miner.main import run

run()
