"""Who pays for an extrinsic: its signer, or a real account that agreed to pay for its proxy.

Upstream: runtime/src/transaction_payment_wrapper.rs
"""

from __future__ import annotations

from chain.pallets.nested import name_of
from chain.pallets.proxy_store import RealPaysFeeConsentV1
from chain.runtime.call import RuntimeCall
from chain.runtime.errors import CallError
from chain.runtime.state import State
from chain.runtime.types import lookup
from ganglion.units import AccountId

BATCHES = {("Utility", name) for name in ("batch", "batch_all", "force_batch")}


def fee_payer(s: State, call: RuntimeCall, signer: AccountId) -> AccountId:
    """The account that pays for `call`: up to two consents deep, through a proxy or a batch."""
    outer = consenting(s, call, signer)
    if outer is None:
        return signer
    inner: RuntimeCall = call.args[2]
    return consenting(s, inner, outer) or of_batch(s, inner, outer) or outer


def consenting(s: State, call: RuntimeCall, delegate: AccountId) -> AccountId | None:
    """The real account of a Proxy.proxy by `delegate`, when it pays for that delegate."""
    real = real_of(call)
    agrees = real is not None and s[RealPaysFeeConsentV1, real, delegate] is not None
    return real if agrees else None


def of_batch(s: State, call: RuntimeCall, delegate: AccountId) -> AccountId | None:
    """The one real account of a batch that is all proxies for it, when it pays."""
    calls: tuple[RuntimeCall, ...] = call.args[0] if name_of(call) in BATCHES else ()
    if len({real_of(item) for item in calls}) != 1:
        return None
    return consenting(s, calls[0], delegate)


def real_of(call: RuntimeCall) -> AccountId | None:
    """The real account of a Proxy.proxy; None for other calls."""
    if name_of(call) != ("Proxy", "proxy"):
        return None
    try:
        return lookup(call.args[0])
    except CallError:
        return None
