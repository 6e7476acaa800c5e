"""`neuron-validator`: asks miners, checks their answers and sets weights."""
