"""`python -m ganglion.cli`: the `ganglion` command."""

from ganglion.cli.main import run

run()
