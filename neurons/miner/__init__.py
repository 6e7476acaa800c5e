"""`neuron-miner`: serves a model under signed requests and signs what it answers."""
