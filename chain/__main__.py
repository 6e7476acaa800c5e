"""`python -m chain`: the node."""

import gc

# Starting makes a hundred thousand objects and no garbage: looking for it takes a tenth of the
# time. The node turns the collector on again once it runs.
gc.disable()

from chain.cli import run  # noqa: E402

run()
