"""`python -m localnet.lab` is `ganglion lab`."""

import sys

from localnet.lab.cli import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
