"""Pure mathematics of the network: integers in, integers out; no clock, socket, disk or float."""
