"""The thirteen transaction extensions of the chain, in upstream's order.

Those of other pallets (sudo, subtensor, shield, drand) live beside their pallets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Annotated

from chain.extrinsics import birth_block
from chain.pallets import transaction_payment as payment
from chain.pallets.proxy_fees import fee_payer
from chain.pallets.subtensor.alpha_fee import can_pay_in_alpha, do_pay_in_alpha
from chain.pallets.subtensor.events_stake import TransactionFeePaidWithAlpha
from chain.pallets.system import Account, BlockHash, Number, inc_nonce
from chain.pallets.system_limits import BASE_EXTRINSIC, MAX_BLOCK
from chain.runtime.call import MANDATORY, NORMAL, OPERATIONAL
from chain.runtime.errors import CallError
from chain.runtime.extension import Context, Extension
from chain.runtime.state import State
from chain.runtime.type_registry import Rows, TypeRegistry
from chain.runtime.validity import Invalid, InvalidTransaction
from ganglion.scale import Compact, DecodeError, Fixed, scale_type, u8, u32, u64
from ganglion.units import AccountId, Hash, Rao

MAX_NORMAL_WEIGHT = 3_000_000_000_000
MAX_BLOCK_WEIGHT = MAX_BLOCK
MAX_EXTRINSIC_WEIGHT = MAX_NORMAL_WEIGHT - 400_000_000_000 - BASE_EXTRINSIC
MAX_BLOCK_LENGTH = 10 * 1024 * 1024
MAX_NORMAL_LENGTH = MAX_BLOCK_LENGTH * 3 // 4
OPERATIONAL_PRIORITY = 10_000_000_000


class EraType:
    """Stands for sp_runtime's 256-variant Era in annotations; metadata spells it out."""

    scale_path = "sp_runtime::generic::era::Era"

    @staticmethod
    def __registry__(registry: TypeRegistry) -> int:
        mortal: Rows = [(f"Mortal{i}", i, [("_0", u8)], "") for i in range(1, 256)]
        rows: Rows = [("Immortal", 0, [], ""), *mortal]
        return registry.add(EraType, EraType.scale_path, lambda: registry.variants(rows))


@scale_type("frame_metadata_hash_extension::Mode")
class Mode(IntEnum):
    """Whether the metadata hash was signed."""

    Disabled = 0
    Enabled = 1


class CheckNonZeroSender(Extension):
    """No signature of the all-zero account, which has no key."""

    identifier = "CheckNonZeroSender"

    def validate(self, s: State, ctx: Context) -> None:
        if ctx.who is not None and not any(ctx.who):
            raise InvalidTransaction(Invalid.BadSigner)


class CheckSpecVersion(Extension):
    """Signed for this runtime version."""

    identifier = "CheckSpecVersion"
    implicit = u32


class CheckTxVersion(Extension):
    """Signed for this transaction format."""

    identifier = "CheckTxVersion"
    implicit = u32


class CheckGenesis(Extension):
    """Signed for this chain."""

    identifier = "CheckGenesis"
    implicit = Hash


class CheckMortality(Extension):
    """Not before its birth block is known, not after its era."""

    identifier = "CheckMortality"
    explicit = EraType
    implicit = Hash

    def validate(self, s: State, ctx: Context) -> None:
        if ctx.in_block and ctx.era == b"\0":  # no era to check, no pool to tell how long
            return
        now = s[Number]
        try:
            birth, death = birth_block(ctx.era, now)
        except DecodeError as e:
            raise InvalidTransaction(Invalid.AncientBirthBlock) from e
        if ctx.era != b"\0":
            if birth > now or (birth < now and (BlockHash, birth) not in s):
                raise InvalidTransaction(Invalid.AncientBirthBlock)
            if now >= death:
                raise InvalidTransaction(Invalid.Stale)
        ctx.validity.longevity = min(ctx.validity.longevity, max(death - now, 0))


class CheckNonce(Extension):
    """The account's next nonce in a block; any later one in the pool."""

    identifier = "CheckNonce"
    explicit = Compact[u32]

    def validate(self, s: State, ctx: Context) -> None:
        who = ctx.who
        if who is None:
            return
        info = s[Account, who]
        if info.providers == 0 and info.sufficients == 0 and ctx.notes.get("pays", True):
            raise InvalidTransaction(Invalid.Payment)
        if ctx.nonce < info.nonce:
            raise InvalidTransaction(Invalid.Stale)
        if ctx.nonce > info.nonce:
            if ctx.in_block:
                raise InvalidTransaction(Invalid.Future)
            ctx.validity.requires += (nonce_tag(who, ctx.nonce - 1),)
        if not ctx.in_block:  # tags order the pool
            ctx.validity.provides += (nonce_tag(who, ctx.nonce),)

    def prepare(self, s: State, ctx: Context) -> None:
        if ctx.who is not None:
            inc_nonce(s, ctx.who)


def nonce_tag(who: AccountId, nonce: int) -> bytes:
    """The pool's tag of an account's extrinsic: SCALE of (account, nonce)."""
    return who + nonce.to_bytes(4, "little")


class CheckWeight(Extension):
    """Room left in the block, by weight and by length."""

    identifier = "CheckWeight"

    def validate(self, s: State, ctx: Context) -> None:
        info = ctx.info
        if info.dispatch_class is NORMAL and info.weight > MAX_EXTRINSIC_WEIGHT:
            raise InvalidTransaction(Invalid.ExhaustsResources)
        if info.dispatch_class is MANDATORY or not ctx.in_block:
            return
        used: BlockUse | None = s.block
        if used is not None and not used.fits(ctx):
            raise InvalidTransaction(Invalid.ExhaustsResources)


@dataclass(slots=True)
class BlockUse:
    """Weight by class and length used by the running block."""

    weight: list[int]
    length: int = 0

    def fits(self, ctx: Context) -> bool:
        """Whether the extrinsic still fits into its class."""
        normal = ctx.info.dispatch_class is NORMAL
        more = ctx.info.weight + payment.BASE_EXTRINSIC_WEIGHT
        if normal and self.weight[NORMAL] + more > MAX_NORMAL_WEIGHT:
            return False
        if sum(self.weight) + more > MAX_BLOCK_WEIGHT:
            return False
        return self.length + ctx.length <= (MAX_NORMAL_LENGTH if normal else MAX_BLOCK_LENGTH)


class ChargeTransactionPayment(Extension):
    """Upstream's wrapper: fees as usual, priority by class instead of by tip.

    A fee that the account cannot pay in TAO may be paid with the stake that the call names. For
    a proxy that acts for an account which agreed to it, that account pays.
    """

    identifier = "ChargeTransactionPayment"
    explicit = Compact[u64]

    def validate(self, s: State, ctx: Context) -> None:
        operational = ctx.info.dispatch_class is OPERATIONAL
        ctx.validity.priority += OPERATIONAL_PRIORITY if operational else 1
        if ctx.who is None:
            return
        fee = payment.compute_fee(ctx.length, ctx.info, ctx.info.weight, ctx.tip)
        payer = fee_payer(s, ctx.call, ctx.who)
        ctx.notes["fee"], ctx.notes["payer"] = fee, payer
        ctx.notes["in_alpha"] = not payment.can_pay(s, payer, fee)
        if ctx.notes["in_alpha"] and not can_pay_in_alpha(s, payer, ctx.call, fee):
            raise InvalidTransaction(Invalid.Payment)

    def prepare(self, s: State, ctx: Context) -> None:
        if ctx.who is None:
            return
        if not ctx.notes["in_alpha"]:
            payment.charge(s, ctx.notes["payer"], ctx.notes["fee"])
            return
        try:
            paid = do_pay_in_alpha(s, ctx.notes["payer"], ctx.call, ctx.notes["fee"])
        except CallError:
            raise InvalidTransaction(Invalid.Payment) from None
        ctx.notes["alpha_fee"] = paid

    def post_dispatch(self, s: State, ctx: Context, weight: int, failed: bool) -> None:
        if ctx.who is None:
            return
        info, pays = ctx.info, ctx.notes["actual_pays"]
        actual = ctx.notes["fee"]
        if weight != info.weight or pays is not info.pays:
            actual = payment.compute_fee(ctx.length, replace(info, pays=pays), weight, ctx.tip)
        payer = ctx.notes["payer"]
        if ctx.notes["in_alpha"]:
            paid = ctx.notes["alpha_fee"]
            s.emit(TransactionFeePaidWithAlpha(payer, paid.netuid, paid.alpha, paid.tao))
            s.emit(payment.TransactionFeePaid(payer, Rao(actual), Rao(ctx.tip)))
            return
        payment.settle(s, payer, ctx.notes["fee"], actual, ctx.tip)


class CheckMetadataHash(Extension):
    """Mode 1 would sign the metadata's hash (RFC 78); this chain has none to compare."""

    identifier = "CheckMetadataHash"
    explicit = Mode
    implicit = Annotated[bytes, Fixed(32)] | None

    def validate(self, s: State, ctx: Context) -> None:
        if ctx.mode != 0:
            raise InvalidTransaction(Invalid.BadProof)


def implicit_bytes(spec: int, transaction: int, genesis: bytes, birth_hash: bytes) -> bytes:
    """What the extensions sign beside what travels, metadata hash disabled."""
    return (
        spec.to_bytes(4, "little") + transaction.to_bytes(4, "little") + genesis + birth_hash
    ) + b"\0"
