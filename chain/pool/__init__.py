"""The transaction pool: what waits to be put into a block, in an order a block can take.

A sans-IO core: the caller brings the clock, the block number and a function that validates
bytes against the best state; answers are status events. Upstream: Substrate's
`client/transaction-pool` (graph) and the error codes of `client/rpc-api/src/author/error.rs`.
"""

from chain.pool.errors import PoolError
from chain.pool.pool import Limits, Pool
from chain.pool.transaction import Transaction, TxEvent

__all__ = ["Limits", "Pool", "PoolError", "Transaction", "TxEvent"]
