"""Executing blocks: initialise, apply extrinsics, finalise; and validating for the pool.

Upstream: frame_executive. Nothing here knows of disks, clocks or sockets: the author's time
comes in through `inherents`, the parent's state through `State`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from chain.extensions import BlockUse, implicit_bytes
from chain.extrinsics import (
    DecodedOnce,
    Extrinsic,
    Signature,
    bare,
    birth_block,
    decode_extrinsic,
    signing_payload,
)
from chain.pallets import system
from chain.pallets.system_limits import BASE_BLOCK
from chain.pallets.system_types import BlockWeight, LastRuntimeUpgradeInfo
from chain.pallets.transaction_payment import BASE_EXTRINSIC_WEIGHT
from chain.runtime.apis import Method
from chain.runtime.call import MANDATORY, DispatchClass, DispatchInfo, Pays, RuntimeCall, Weight
from chain.runtime.dispatch import DispatchResult, dispatch
from chain.runtime.errors import CallError
from chain.runtime.extension import Context, Extension
from chain.runtime.metadata import metadata_bytes
from chain.runtime.origin import NONE, signed
from chain.runtime.runtime import CALLS, Runtime, encode_event, event_encoder
from chain.runtime.signatures import verify_signature
from chain.runtime.state import State
from chain.runtime.types import (
    Digest,
    DigestItem,
    DispatchEventInfo,
    Initialization,
    Seal,
    lookup,
)
from chain.runtime.validity import Invalid, InvalidTransaction, UnknownTransaction, Validity
from ganglion.hashing import blake2_256
from ganglion.scale import DecodeError, compact_encode
from ganglion.units import AccountId, BlockNumber, Hash


class InvalidBlock(Exception):
    """A block that no honest author makes; the text says which rule it breaks."""


class MisplacedInherent(InvalidTransaction):
    """An inherent that does not stand before all other extrinsics."""

    def __init__(self) -> None:
        super().__init__(Invalid.BadMandatory)

    def __str__(self) -> str:
        return "an inherent stands behind other extrinsics"


class UnknownMethod(Exception):
    """state_call of something that this runtime does not export."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Execution failed: Other: Exported method {name} is not found")


@dataclass(slots=True)
class BlockContext(BlockUse):
    """What the running block has used, and where its events change phase."""

    count: int = 0
    inherents_over: bool = False
    encoded_events: int = 0
    events: bytearray | None = None


class Executive:
    """Runs blocks of one runtime on one chain."""

    def __init__(self, runtime: Runtime, genesis_hash: bytes = bytes(32)) -> None:
        self.runtime = runtime
        self.genesis_hash = genesis_hash
        self._decoded = DecodedOnce()
        self._success = lru_cache(maxsize=256)(_success)
        self._verified: OrderedDict[bytes, None] = OrderedDict()
        self._metadata: dict[int, bytes] = {}
        self._initialize = runtime.hooks("on_initialize")
        self._finalize = runtime.hooks("on_finalize")
        self._inherents = runtime.hooks("inherent")
        self._unsigned = runtime.hooks("validate_unsigned")
        self._validating = _overriding(runtime, "validate")
        self._preparing = _overriding(runtime, "prepare")
        self._settling = _overriding(runtime, "post_dispatch")
        self.impersonated: set[bytes] = set()
        """Accounts whose signatures are not checked: a developers' node only."""

    @property
    def version(self) -> Any:
        """The runtime's version."""
        return self.runtime.version

    def metadata(self, version: int) -> bytes | None:
        """Metadata with its magic prefix, or None for a version we do not have."""
        if version not in (14, 15):
            return None
        if version not in self._metadata:
            self._metadata[version] = metadata_bytes(self.runtime, version)
        return self._metadata[version]

    # -- blocks -----------------------------------------------------------------------------

    def initialize_block(
        self, s: State, number: int, parent_hash: bytes, logs: Iterable[DigestItem]
    ) -> None:
        """Start a block on its parent's state; `logs` are the header's (a seal is left out)."""
        s.events.clear()
        s.logs[:] = [log for log in logs if not isinstance(log, Seal)]
        s.block = BlockContext([0, 0, BASE_BLOCK], events=bytearray())
        s[system.ExecutionPhase] = Initialization()
        s[system.Number] = BlockNumber(number)
        s[system.ParentHash] = Hash(parent_hash)
        s[system.BlockHash, BlockNumber(number - 1)] = Hash(parent_hash)
        s[system.Digest_] = Digest(tuple(s.logs))
        for item in (system.Events, system.EventCount, system.BlockWeight_):
            if item in s:
                del s[item]
        self._note_upgrade(s)
        try:
            for hook in self._initialize:
                hook(s, number)
        except CallError as e:
            raise InvalidBlock(str(e)) from e
        self._encode_events(s, b"\2")

    def _note_upgrade(self, s: State) -> None:
        version = self.runtime.version
        last = s[system.LastRuntimeUpgrade]
        if last is None or last.spec_version != version.spec_version:
            s[system.LastRuntimeUpgrade] = LastRuntimeUpgradeInfo(
                version.spec_version, version.spec_name
            )

    def inherents(self, s: State, now_ms: int, data: Any = None) -> list[bytes]:
        """The extrinsics that every author puts first; `data` is for pallets that ask more.

        What is no inherent by its class (pulses, which may come from anybody) stands behind.
        """
        calls = [hook(s, now_ms, data) for hook in self._inherents]
        made = [call for call in calls if call is not None]
        made.sort(key=lambda c: _info(c).dispatch_class is not MANDATORY)
        return [bare(call) for call in made]

    def apply_extrinsic(self, s: State, raw: bytes) -> DispatchResult:
        """Run one extrinsic; a failed dispatch is in the result and keeps fee and nonce.

        Raises InvalidTransaction (nothing written) when it may not be in this block at all.
        """
        ctx = self._context(s, raw, in_block=True)
        is_inherent = ctx.who is None and ctx.info.dispatch_class is MANDATORY
        if is_inherent and s.block.inherents_over:
            raise MisplacedInherent
        mark = s.mark()
        try:
            for validate in self._validating:
                validate(s, ctx)
            for prepare in self._preparing:
                prepare(s, ctx)
        except InvalidTransaction:
            s.rollback(mark)
            raise
        result = dispatch(s, ctx.call, NONE if ctx.who is None else signed(ctx.who))
        if result.error is not None and ctx.info.dispatch_class is MANDATORY:
            s.rollback(mark)
            raise InvalidTransaction(Invalid.BadMandatory) from result.error
        ctx.notes["actual_pays"] = result.pays
        for settle in self._settling:
            settle(s, ctx, result.weight, result.error is not None)
        s.block.inherents_over = not is_inherent
        self._note_applied(s, ctx, result)
        return result

    def _note_applied(self, s: State, ctx: Context, result: DispatchResult) -> None:
        kind = ctx.info.dispatch_class
        weight = result.weight + BASE_EXTRINSIC_WEIGHT
        block: BlockContext = s.block
        block.weight[kind] += weight
        block.length += ctx.length
        phase = b"\0" + block.count.to_bytes(4, "little")
        block.count += 1
        if result.error is None:
            event, encoded = self._success(weight, kind, result.pays)
            self._encode_events(s, phase, encoded)
            s.emit(event)
            block.encoded_events += 1
        else:
            info = DispatchEventInfo(Weight(weight, 0), kind, result.pays)
            s.emit(system.ExtrinsicFailed(result.error.value(), info))
            self._encode_events(s, phase)

    def _encode_events(self, s: State, phase: bytes, last: bytes = b"") -> None:
        """Encode what was emitted since the last call, and one that is encoded, under one phase."""
        block: BlockContext = s.block
        parts: list[bytes] = []
        for event in s.events[block.encoded_events :]:
            made: Any = type(event)
            head, encode_fields = event_encoder(made)
            parts += phase, head, encode_fields(event), b"\0"
        if last:
            parts += phase, last, b"\0"
        out = block.events
        assert out is not None
        out += b"".join(parts)
        block.encoded_events = len(s.events)

    def finalize_block(self, s: State) -> list[DigestItem]:
        """End the block; returns the header's digest without seal. Raises InvalidBlock."""
        number = s[system.Number]
        try:
            for hook in self._finalize:
                hook(s, number)
        except CallError as e:
            raise InvalidBlock(str(e)) from e
        self._encode_events(s, b"\1")
        block: BlockContext = s.block
        s[system.Events] = compact_encode(block.encoded_events) + bytes(block.events or b"")
        s[system.EventCount] = block.encoded_events
        s[system.BlockWeight_] = BlockWeight(*(Weight(w, 0) for w in block.weight))
        s[system.Digest_] = Digest(tuple(s.logs))
        del s[system.ExecutionPhase]
        oldest = number - system.BlockHashCount.value - 1
        if oldest > 0:
            del s[system.BlockHash, BlockNumber(oldest)]
        s.block = None
        return list(s.logs)

    # -- validation -------------------------------------------------------------------------

    def validate_transaction(self, s: State, raw: bytes) -> Validity:
        """Whether the pool may take it, as for the next block on this state.

        Raises InvalidTransaction, UnknownTransaction or DecodeError.
        """
        child = s.child()
        child[system.Number] = BlockNumber(s[system.Number] + 1)
        ctx = self._context(child, raw, in_block=False)
        if ctx.who is None and ctx.notes.get("unsigned") is None:
            raise UnknownTransaction
        for validate in self._validating:
            validate(child, ctx)
        return ctx.validity

    def check_signature(self, s: State, raw: bytes) -> None:
        """Decode an extrinsic and check its signature only; raises InvalidTransaction."""
        self._context(s, raw, in_block=True)

    def _context(self, s: State, raw: bytes, in_block: bool) -> Context:
        try:
            extrinsic = self._decoded.decode(raw)
        except DecodeError as e:
            if in_block:
                raise InvalidTransaction(Invalid.Call) from e
            raise
        info = _info(extrinsic.call)
        ctx = Context(None, extrinsic.call, info, extrinsic.length, in_block=in_block)
        ctx.notes["pays"] = info.pays is Pays.Yes
        if extrinsic.signature is None:
            self._check_bare(s, ctx)
        else:
            self._check_signed(s, ctx, extrinsic, extrinsic.signature, raw)
        return ctx

    def _check_bare(self, s: State, ctx: Context) -> None:
        for hook in self._unsigned:
            validity: Validity | None = hook(s, ctx.call, ctx.in_block)
            if validity is not None:
                ctx.validity = validity
                ctx.notes["unsigned"] = True
                return
        if ctx.info.dispatch_class is not MANDATORY:
            raise (
                UnknownTransaction
                if not ctx.in_block
                else InvalidTransaction(Invalid.UnknownOrigin)
            )
        if not ctx.in_block:
            raise InvalidTransaction(Invalid.MandatoryValidation)

    def _check_signed(
        self, s: State, ctx: Context, extrinsic: Extrinsic, part: Signature, raw: bytes
    ) -> None:
        try:
            who = lookup(part.address)
        except CallError as e:
            raise InvalidTransaction(Invalid.BadSigner) from e
        if ctx.info.dispatch_class is MANDATORY:
            raise InvalidTransaction(Invalid.BadMandatory)
        ctx.who, ctx.nonce, ctx.tip = who, part.nonce, part.tip
        ctx.era, ctx.mode = part.era, part.mode
        if who not in self.impersonated:
            self._verify(s, extrinsic, part, who, raw)

    def _verify(
        self, s: State, extrinsic: Extrinsic, part: Signature, who: AccountId, raw: bytes
    ) -> None:
        """Check the signature once: the pool's check is remembered for the block."""
        birth_hash = self._birth_hash(s, part.era)
        key = blake2_256(raw + birth_hash)
        if key in self._verified:
            return
        version = self.runtime.version
        implicit = implicit_bytes(
            version.spec_version, version.transaction_version, self.genesis_hash, birth_hash
        )
        payload = signing_payload(extrinsic.call_bytes, part.extra, implicit)
        if not verify_signature(part.signature, payload, who):
            raise InvalidTransaction(Invalid.BadProof)
        self._verified[key] = None
        if len(self._verified) > 1 << 16:
            self._verified.popitem(last=False)

    def _birth_hash(self, s: State, era: bytes) -> bytes:
        if era == b"\0":
            return self.genesis_hash
        now = s[system.Number]
        try:
            birth = birth_block(era, now)[0]
        except DecodeError as e:
            raise InvalidTransaction(Invalid.AncientBirthBlock) from e
        if (system.BlockHash, BlockNumber(birth)) not in s:
            raise InvalidTransaction(Invalid.AncientBirthBlock)
        return s[system.BlockHash, BlockNumber(birth)]

    # -- runtime APIs -----------------------------------------------------------------------

    def call_api(self, s: State, name: str, data: bytes) -> bytes:
        """Answer state_call; raises UnknownMethod or DecodeError. Writes are thrown away."""
        method: Method | None = self.runtime.methods.get(name)
        if method is None:
            raise UnknownMethod(name)
        return method.run(s.child(), data)

    def dispatch_info(self, raw: bytes) -> tuple[DispatchInfo, Extrinsic]:
        """Weight and fee rule of an extrinsic, signature unchecked; raises DecodeError."""
        extrinsic = decode_extrinsic(raw)
        return _info(extrinsic.call), extrinsic


def _info(call: RuntimeCall) -> DispatchInfo:
    """Weight, class and fee rule of a call."""
    info: DispatchInfo = CALLS.entry(call).info(call.args)
    return info


def _success(weight: int, kind: DispatchClass, pays: Pays) -> tuple[object, bytes]:
    """The event of an extrinsic that succeeded, and encoded: most calls of a kind have the same."""
    event = system.ExtrinsicSuccess(DispatchEventInfo(Weight(weight, 0), kind, pays))
    return event, encode_event(event)


def _overriding(runtime: Runtime, name: str) -> list[Any]:
    """The extensions that really do something at one step, in order."""
    base = getattr(Extension, name)
    return [getattr(e, name) for e in runtime.extensions if getattr(type(e), name) is not base]
