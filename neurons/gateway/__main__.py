"""`python -m neurons.gateway`: the same as `neuron-gateway`."""

from neurons.gateway.main import run

run()
