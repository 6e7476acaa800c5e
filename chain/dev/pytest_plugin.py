"""`pytest --ganglion`: a real chain for every test of a subnet's own suite.

    def test_my_subnet(ganglion):
        ganglion.rpc("dev_registerNeurons", 1, 4, 10**9)
        connect(ganglion.url)

One node runs for the whole session; a test gets it as it was at the start, by a snapshot that
costs a few milliseconds. `--ganglion-sealing` is `instant` (default), `manual` or milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from chain.dev.devnode import DevNode


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options; without --ganglion the fixtures skip."""
    group = parser.getgroup("ganglion", "a chain for every test")
    group.addoption("--ganglion", action="store_true", help="start a node for the tests")
    group.addoption("--ganglion-sealing", default="instant", help="instant, manual or ms")


@pytest.fixture(scope="session")
def ganglion_session(request: pytest.FixtureRequest) -> Iterator[DevNode]:
    """The node of the whole session, as the tests leave it."""
    if not request.config.getoption("--ganglion"):
        pytest.skip("needs a chain: run pytest with --ganglion")
    # Imported here, so that the plugin costs nothing where it is not used.
    from chain.dev.devnode import DevNode

    with DevNode(request.config.getoption("--ganglion-sealing")) as node:
        yield node


@pytest.fixture
def ganglion(ganglion_session: DevNode) -> Iterator[DevNode]:
    """A node that is as fresh as on its first day."""
    mark = ganglion_session.rpc("dev_snapshot")
    yield ganglion_session
    ganglion_session.rpc("dev_revert", mark)
