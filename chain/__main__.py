"""`python -m chain`: the node."""

from chain.cli import run

run()
