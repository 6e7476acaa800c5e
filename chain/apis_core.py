"""Runtime APIs that every Substrate chain has: nonces, fees, consensus keys.

Core, Metadata and the pool's own APIs need the executive itself; `chain.apis_host` has them.
"""

from __future__ import annotations

from dataclasses import dataclass

from chain.extrinsics import Extrinsic, decode_extrinsic
from chain.pallets import aura, grandpa
from chain.pallets import transaction_payment as payment
from chain.pallets.system import Account
from chain.runtime.apis import Api
from chain.runtime.call import DispatchClass, DispatchInfo, RuntimeCall, Weight
from chain.runtime.runtime import CALLS
from chain.runtime.state import State
from chain.runtime.types import UncheckedExtrinsic
from ganglion.scale import scale_type, u32, u64
from ganglion.units import AccountId, Nonce, Rao


@scale_type("pallet_transaction_payment::types::RuntimeDispatchInfo")
@dataclass(frozen=True, slots=True)
class RuntimeDispatchInfo:
    """What an extrinsic will cost: `partial_fee` is without tip."""

    weight: Weight
    class_: DispatchClass
    partial_fee: Rao


@scale_type("pallet_transaction_payment::types::InclusionFee")
@dataclass(frozen=True, slots=True)
class InclusionFee:
    """Parts of the fee in rao."""

    base_fee: Rao
    len_fee: Rao
    adjusted_weight_fee: Rao


@scale_type("pallet_transaction_payment::types::FeeDetails")
@dataclass(frozen=True, slots=True)
class FeeDetails:
    """Fee and tip in parts."""

    inclusion_fee: InclusionFee | None
    tip: Rao


nonce_api = Api("AccountNonceApi", 1, "The API to query account nonce.")
payment_api = Api("TransactionPaymentApi", 4)
payment_call_api = Api("TransactionPaymentCallApi", 3)
aura_api = Api("AuraApi", 1)
grandpa_api = Api("GrandpaApi", 3)


@nonce_api.method
def account_nonce(s: State, account: AccountId) -> Nonce:
    """Get current account nonce of given `AccountId`."""
    return Nonce(s[Account, account].nonce)


def _info(call: RuntimeCall) -> DispatchInfo:
    info: DispatchInfo = CALLS.entry(call).info(call.args)
    return info


def _dispatch_info(call: RuntimeCall, length: int) -> RuntimeDispatchInfo:
    info = _info(call)
    fee = payment.compute_fee(length, info, info.weight, 0)
    return RuntimeDispatchInfo(Weight(info.weight, 0), info.dispatch_class, Rao(fee))


def _fee_details(call: RuntimeCall, length: int, tip: int) -> FeeDetails:
    info = _info(call)
    if payment.compute_fee(0, info, 0, 0) == 0:
        return FeeDetails(None, Rao(tip))
    parts = InclusionFee(
        Rao(payment.weight_to_fee(payment.BASE_EXTRINSIC_WEIGHT)),
        Rao(length),
        Rao(payment.weight_to_fee(info.weight)),
    )
    return FeeDetails(parts, Rao(tip))


@payment_api.method
def query_info(s: State, uxt: UncheckedExtrinsic, len_: u32) -> RuntimeDispatchInfo:
    """Weight and fee of an extrinsic; its signature is not checked."""
    return _dispatch_info(_decoded(uxt).call, len_)


@payment_api.method
def query_fee_details(s: State, uxt: UncheckedExtrinsic, len_: u32) -> FeeDetails:
    """The fee of an extrinsic in parts."""
    extrinsic = _decoded(uxt)
    tip = extrinsic.signature.tip if extrinsic.signature else 0
    return _fee_details(extrinsic.call, len_, tip)


def _decoded(raw: object) -> Extrinsic:
    assert isinstance(raw, bytes)
    return decode_extrinsic(raw)


@payment_api.method
def query_weight_to_fee(s: State, weight: Weight) -> Rao:
    """The fee of a weight."""
    return Rao(payment.weight_to_fee(weight.ref_time))


@payment_api.method
def query_length_to_fee(s: State, length: u32) -> Rao:
    """The fee of a length."""
    return Rao(length)


@payment_call_api.method
def query_call_info(s: State, call: RuntimeCall, len_: u32) -> RuntimeDispatchInfo:
    """Weight and fee of a call."""
    return _dispatch_info(call, len_)


@payment_call_api.method
def query_call_fee_details(s: State, call: RuntimeCall, len_: u32) -> FeeDetails:
    """The fee of a call in parts."""
    return _fee_details(call, len_, 0)


@aura_api.method
def slot_duration(s: State) -> u64:
    """Milliseconds of a slot."""
    return aura.SlotDuration.value


@aura_api.method
def authorities(s: State) -> tuple[aura.AuraId, ...]:
    """Who may author, in slot order."""
    return s[aura.Authorities]


@grandpa_api.method
def grandpa_authorities(s: State) -> grandpa.AuthorityList:
    """Who votes on finality, with weights."""
    return s[grandpa.Authorities]


@grandpa_api.method
def current_set_id(s: State) -> u64:
    """The number of the voter set."""
    return s[grandpa.CurrentSetId]


CORE_APIS = (nonce_api, payment_api, payment_call_api, aura_api, grandpa_api)
