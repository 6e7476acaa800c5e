"""A developers' node per module, and extrinsics signed for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from chain.dev.devnode import DevNode
from chain.dev.signing import signed_call, transfer
from ganglion.keys import dev_key

Sign = Callable[..., bytes]


@pytest.fixture(scope="module")
def node() -> Iterator[DevNode]:
    with DevNode("instant") as running:
        yield running


@pytest.fixture(scope="module")
def manual() -> Iterator[DevNode]:
    with DevNode("manual") as running:
        yield running


@pytest.fixture
def pay() -> Sign:
    """`pay(node, nonce=None, amount=.., signer="Alice")`: a signed transfer to Bob."""

    def make(on: DevNode, nonce: int | None = None, amount: int = 10**6, signer: str = "Alice"):
        key = dev_key(signer)
        if nonce is None:
            nonce = on.rpc("account_nextIndex", key.address)
        executive = on.node.engine.executive
        call = transfer(executive, dev_key("Bob").account_id, amount)
        return signed_call(executive, key, call, nonce)

    return make
