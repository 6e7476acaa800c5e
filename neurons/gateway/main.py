"""The console script `neuron-gateway`. What it runs needs the extra `gateway`."""

from __future__ import annotations

import sys

from neurons import program
from neurons.engine.base import EngineError


def run() -> None:
    """The console script."""
    program.limit_threads()
    sys.exit(program.tell_errors(_commands))


def _commands() -> int:
    """Run the command line; EngineError says which package is missing."""
    try:
        from neurons.gateway.commands import main
    except ModuleNotFoundError as e:
        raise EngineError(f"a gateway needs {e.name}: pip install 'ganglion[gateway]'") from e
    return main(sys.argv[1:])
