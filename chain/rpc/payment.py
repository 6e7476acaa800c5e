"""payment_*: fees of an extrinsic, its signature unchecked."""

from __future__ import annotations

from typing import Any

from chain.apis_core import FeeDetails, RuntimeDispatchInfo
from chain.extrinsics import decode_extrinsic
from chain.rpc.context import Node
from chain.rpc.errors import DECODE_ERROR, RpcError
from chain.rpc.methods import MethodTable
from chain.rpc.params import HexBytes
from ganglion.scale import Codec, DecodeError, codec
from ganglion.units import Hash

methods = MethodTable()

_INFO: Codec[RuntimeDispatchInfo] = codec(RuntimeDispatchInfo)
_DETAILS: Codec[FeeDetails] = codec(FeeDetails)


def _ask(node: Node, function: str, raw: bytes, at: Hash | None) -> bytes:
    try:
        decode_extrinsic(raw)
    except DecodeError as error:
        raise RpcError(DECODE_ERROR, "Unable to query fee details.", str(error)) from None
    arguments = raw + len(raw).to_bytes(4, "little")
    return node.call_api(f"TransactionPaymentApi_{function}", arguments, at)


@methods.rpc("payment_queryInfo", "payment_queryInfoAt", blocking=True)
def query_info(node: Node, encoded_xt: HexBytes, at: Hash | None = None) -> dict[str, Any]:
    """Weight, class and fee (without tip) of an extrinsic."""
    info = _INFO.decode(_ask(node, "query_info", encoded_xt, at))
    return {
        "weight": {"ref_time": info.weight.ref_time, "proof_size": info.weight.proof_size},
        "class": info.class_.name.lower(),
        "partialFee": str(info.partial_fee),
    }


@methods.rpc("payment_queryFeeDetails", blocking=True)
def query_fee_details(node: Node, encoded_xt: HexBytes, at: Hash | None = None) -> dict[str, Any]:
    """The parts of an extrinsic's fee, as hex numbers."""
    fee = _DETAILS.decode(_ask(node, "query_fee_details", encoded_xt, at)).inclusion_fee
    if fee is None:
        return {"inclusionFee": None}
    return {
        "inclusionFee": {
            "baseFee": hex(fee.base_fee),
            "lenFee": hex(fee.len_fee),
            "adjustedWeightFee": hex(fee.adjusted_weight_fee),
        }
    }
