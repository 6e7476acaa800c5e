"""EVMChainId (pallet 23): the number that binds orders signed off the chain to this chain.

Nothing here runs an Ethereum machine; limit orders carry the number against replay elsewhere.
Upstream: pallet_evm_chain_id.
"""

from __future__ import annotations

from chain.genesis import Genesis
from chain.runtime.pallet import Pallet, genesis
from chain.runtime.state import State
from chain.runtime.storage import Value, storage
from ganglion.scale import u64

LOCAL_CHAIN = 42

ChainId: Value[u64] = storage(default=0)
"""The EVM chain ID."""


@genesis
def build(s: State, spec: Genesis) -> None:
    """The number of upstream's local chains."""
    s[ChainId] = LOCAL_CHAIN


pallet = Pallet("EVMChainId", __name__, crate="pallet_evm_chain_id").seal()
