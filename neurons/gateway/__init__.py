"""`neuron-gateway`: one OpenAI-compatible endpoint over the miners of a subnet."""
