"""`python -m neurons.validator`: the same as `neuron-validator`."""

from neurons.validator.main import run

run()
