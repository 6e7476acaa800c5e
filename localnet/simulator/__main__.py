"""`python -m localnet.simulator` is `scripts/simulate`."""

import sys

from localnet.simulator.cli import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
