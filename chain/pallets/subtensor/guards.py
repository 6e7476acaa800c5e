"""What is looked at before a signed call runs, in the pool and again at its dispatch.

In order: an announced coldkey swap, weights and commits, rate limits, delegate takes, endpoints.
The pool answers with one byte for each kind of refusal; a dispatch fails with the error itself.

Upstream: pallets/subtensor/src/guards/, extensions/subtensor.rs
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chain.pallets.drand import LastStoredRound
from chain.pallets.subtensor.accounts import ensure_hotkey, is_owner
from chain.pallets.subtensor.commit_reveal import compute_commit_hash, is_revealable
from chain.pallets.subtensor.errors import Error
from chain.pallets.subtensor.evm_keys import ensure_may_associate
from chain.pallets.subtensor.neurons import storage_index
from chain.pallets.subtensor.pallet import pallet
from chain.pallets.subtensor.rate_limits import passes_rate_limit
from chain.pallets.subtensor.serving import ensure_axon_allowed, ensure_prometheus_allowed
from chain.pallets.subtensor.storage_commits import WeightCommits
from chain.pallets.subtensor.storage_delegation import MaxDelegateTake, MinDelegateTake
from chain.pallets.subtensor.storage_hyperparameters import CommitRevealWeightsEnabled
from chain.pallets.subtensor.storage_keys import ColdkeySwapAnnouncements, ColdkeySwapDisputes
from chain.pallets.subtensor.storage_neurons import Uids
from chain.pallets.subtensor.types import TransactionType
from chain.pallets.subtensor.weights import has_min_stake, passes_weights_rate_limit
from chain.runtime.call import RuntimeCall
from chain.runtime.errors import CallError, ModuleError, ensure
from chain.runtime.extension import Context, Extension
from chain.runtime.origin import Origin
from chain.runtime.state import State
from chain.runtime.validity import Invalid, InvalidTransaction
from ganglion.units import ROOT_NETUID, AccountId, NetUid, NetUidStorageIndex

SUBMIT_ENCRYPTED = (30, 1)
"""MevShield.submit_encrypted: what is inside is looked at when it runs."""

BAD_REQUEST = 255
CODES: dict[type[CallError], int] = {
    Error.ColdkeySwapAnnounced: 0,
    Error.AmountTooLow: 1,
    Error.NotEnoughStakeToSetWeights: 1,
    Error.NotEnoughBalanceToStake: 2,
    Error.SubnetNotExists: 3,
    Error.HotKeyAccountNotExists: 4,
    Error.NotEnoughStakeToWithdraw: 5,
    Error.CommittingWeightsTooFast: 6,
    Error.SettingWeightsTooFast: 6,
    Error.NetworkTxRateLimitExceeded: 6,
    Error.InsufficientLiquidity: 7,
    Error.SlippageTooHigh: 8,
    Error.TransferDisallowed: 9,
    Error.HotKeyNotRegisteredInNetwork: 10,
    Error.InvalidIpAddress: 11,
    Error.ServingRateLimitExceeded: 12,
    Error.InvalidPort: 13,
    Error.InvalidRevealRound: 15,
    Error.NoWeightsCommitFound: 16,
    Error.RevealTooEarly: 17,
    Error.InputLengthsUnequal: 18,
    Error.HotKeyNotRegisteredInSubNet: 19,
    Error.EvmKeyAssociateRateLimitExceeded: 20,
    Error.ColdkeySwapDisputed: 21,
    Error.NonAssociatedColdKey: 25,
    Error.DelegateTakeTooLow: 26,
    Error.DelegateTakeTooHigh: 27,
}
"""Codes of InvalidTransaction::Custom by error; every other error is 255."""

Numbers = Sequence[int]
Check = Callable[..., None]
"""`check(state, signer, *arguments of the call)` raises CallError."""


def _coldkey_swap(s: State, who: AccountId, call: RuntimeCall) -> None:
    if s.is_empty(ColdkeySwapAnnouncements) or (ColdkeySwapAnnouncements, who) not in s:
        return
    ensure((ColdkeySwapDisputes, who) not in s, Error.ColdkeySwapDisputed)
    allowed = (call.pallet, call.index) == SUBMIT_ENCRYPTED or (
        call.pallet == pallet.index and call.index in _DURING_SWAP
    )
    ensure(allowed, Error.ColdkeySwapAnnounced)


# --- weights and commits -----------------------------------------------------------------------


def _min_stake(s: State, who: AccountId, netuid: NetUid, *_: object) -> None:
    ensure(has_min_stake(s, who, netuid), Error.NotEnoughStakeToSetWeights)


def _batch(s: State, who: AccountId, netuids: Sequence[NetUid], *lists: Sequence[object]) -> None:
    same = all(len(items) == len(netuids) for items in lists)
    ensure(same, Error.InputLengthsUnequal)
    for netuid in netuids:
        _min_stake(s, who, netuid)


def _reveal_of(
    s: State,
    who: AccountId,
    netuid: NetUid,
    index: NetUidStorageIndex,
    items: Sequence[tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], int]],
) -> None:
    """Every revealed set of weights was committed, and this is its reveal epoch."""
    queue = s[WeightCommits, index, who]
    if queue is None:
        raise Error.NoWeightsCommitFound
    for uids, values, salt, key in items:
        wanted = compute_commit_hash(who, index, uids, values, salt, key)
        epoch = next((commit[1] for commit in queue if commit[0] == wanted), None)
        if epoch is None:
            raise Error.NoWeightsCommitFound
        ensure(is_revealable(s, netuid, epoch), Error.RevealTooEarly)


def _reveal(
    s: State,
    who: AccountId,
    netuid: NetUid,
    uids: tuple[int, ...],
    values: tuple[int, ...],
    salt: tuple[int, ...],
    version_key: int,
) -> None:
    _mechanism_reveal(s, who, netuid, 0, uids, values, salt, version_key)


def _mechanism_reveal(
    s: State,
    who: AccountId,
    netuid: NetUid,
    mecid: int,
    uids: tuple[int, ...],
    values: tuple[int, ...],
    salt: tuple[int, ...],
    version_key: int,
) -> None:
    _min_stake(s, who, netuid)
    index = storage_index(netuid, mecid)
    _reveal_of(s, who, netuid, index, [(uids, values, salt, version_key)])


def _batch_reveal(
    s: State,
    who: AccountId,
    netuid: NetUid,
    uids_list: Sequence[tuple[int, ...]],
    values_list: Sequence[tuple[int, ...]],
    salts_list: Sequence[tuple[int, ...]],
    version_keys: Numbers,
) -> None:
    same = len({len(x) for x in (uids_list, values_list, salts_list, version_keys)}) == 1
    ensure(same, Error.InputLengthsUnequal)
    _min_stake(s, who, netuid)
    items = list(zip(uids_list, values_list, salts_list, version_keys, strict=True))
    _reveal_of(s, who, netuid, storage_index(netuid), items)


def _round(s: State, who: AccountId, netuid: NetUid, commit: bytes, round_: int, *_: int) -> None:
    _min_stake(s, who, netuid)
    ensure(round_ >= s[LastStoredRound], Error.InvalidRevealRound)


def _mechanism_round(
    s: State, who: AccountId, netuid: NetUid, mecid: int, commit: bytes, round_: int, *_: int
) -> None:
    _round(s, who, netuid, commit, round_)


# --- rate limits -------------------------------------------------------------------------------


def _ensure_rate(
    s: State, who: AccountId, netuid: NetUid, mecid: int, error: type[ModuleError]
) -> None:
    uid = s[Uids, netuid, who]
    if uid is not None:
        index = storage_index(netuid, mecid)
        ensure(passes_weights_rate_limit(s, index, uid), error)


def _commit_rate(s: State, who: AccountId, netuid: NetUid, *_: object) -> None:
    _ensure_rate(s, who, netuid, 0, Error.CommittingWeightsTooFast)


def _mechanism_commit_rate(
    s: State, who: AccountId, netuid: NetUid, mecid: int, *_: object
) -> None:
    _ensure_rate(s, who, netuid, mecid, Error.CommittingWeightsTooFast)


def _weights_rate(s: State, who: AccountId, netuid: NetUid, *_: object) -> None:
    _mechanism_weights_rate(s, who, netuid, 0)


def _mechanism_weights_rate(
    s: State, who: AccountId, netuid: NetUid, mecid: int, *_: object
) -> None:
    if not s[CommitRevealWeightsEnabled, netuid]:
        _ensure_rate(s, who, netuid, mecid, Error.SettingWeightsTooFast)


def _network_rate(s: State, who: AccountId, *_: object) -> None:
    is_in_time = passes_rate_limit(s, TransactionType.RegisterNetwork, who, ROOT_NETUID)
    ensure(is_in_time, Error.NetworkTxRateLimitExceeded)


# --- takes and endpoints -----------------------------------------------------------------------


def _take(s: State, who: AccountId, hotkey: AccountId, take: int) -> None:
    ensure(take >= s[MinDelegateTake], Error.DelegateTakeTooLow)
    ensure(take <= s[MaxDelegateTake], Error.DelegateTakeTooHigh)
    ensure_hotkey(s, hotkey)
    ensure(is_owner(s, who, hotkey), Error.NonAssociatedColdKey)


def _axon(
    s: State,
    who: AccountId,
    netuid: NetUid,
    version: int,
    ip: int,
    port: int,
    ip_type: int,
    *_: object,
) -> None:
    ensure_axon_allowed(s, who, netuid, ip, port, ip_type)


def _prometheus(
    s: State, who: AccountId, netuid: NetUid, version: int, ip: int, port: int, ip_type: int
) -> None:
    ensure_prometheus_allowed(s, who, netuid, ip, port, ip_type)


_CHECKS: dict[int, tuple[Check, ...]] = {
    0: (_min_stake, _weights_rate),  # set_weights
    4: (_axon,),  # serve_axon
    5: (_prometheus,),  # serve_prometheus
    40: (_axon,),  # serve_axon_tls
    59: (_network_rate,),  # register_network
    65: (_take,),  # decrease_take
    66: (_take,),  # increase_take
    80: (_batch,),  # batch_set_weights
    93: (ensure_may_associate,),  # associate_evm_key
    96: (_min_stake, _commit_rate),  # commit_weights
    97: (_reveal,),  # reveal_weights
    98: (_batch_reveal,),  # batch_reveal_weights
    100: (_batch,),  # batch_commit_weights
    113: (_round,),  # commit_timelocked_weights
    115: (_min_stake, _mechanism_commit_rate),  # commit_mechanism_weights
    116: (_mechanism_reveal,),  # reveal_mechanism_weights
    117: (_mechanism_round,),  # commit_crv3_mechanism_weights
    118: (_mechanism_round,),  # commit_timelocked_mechanism_weights
    119: (_min_stake, _mechanism_weights_rate),  # set_mechanism_weights
}
"""What is looked at, by call index."""

_DURING_SWAP = frozenset((125, 126, 127, 133))
"""Announcing, doing, disputing and clearing a coldkey swap."""


def check(s: State, who: AccountId, call: RuntimeCall) -> None:
    """Raise CallError when a signed call may not run."""
    _coldkey_swap(s, who, call)
    if call.pallet == pallet.index:
        for each in _CHECKS.get(call.index, ()):
            each(s, who, *call.args)


def guard(s: State, call: RuntimeCall, origin: Origin) -> None:
    """The same before a dispatch; calls of root and unsigned ones pass."""
    if origin.who is not None:
        check(s, origin.who, call)


class SubtensorTransactionExtension(Extension):
    """Keeps calls that would fail out of the pool and out of blocks."""

    identifier = "SubtensorTransactionExtension"

    def validate(self, s: State, ctx: Context) -> None:
        """Raise InvalidTransaction with the code of the refusal."""
        if ctx.who is None:
            return
        try:
            check(s, ctx.who, ctx.call)
        except CallError as e:
            code = CODES.get(type(e), BAD_REQUEST)
            raise InvalidTransaction(Invalid.Custom, code) from e
