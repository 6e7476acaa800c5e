"""The runtime table: which pallets, extensions and APIs the chain is made of."""

from __future__ import annotations

from chain import extensions as ext
from chain.apis_core import CORE_APIS
from chain.apis_host import host_apis
from chain.pallets import aura, balances, grandpa, randomness, system, timestamp
from chain.pallets import transaction_payment as payment
from chain.runtime.extension import Extension
from chain.runtime.runtime import Runtime, RuntimeVersion

SPEC_VERSION = 461
"""Raise with every change of metadata: clients cache by genesis hash and this number."""


class SudoTransactionExtension(Extension):
    identifier = "SudoTransactionExtension"


class CheckShieldedTxValidity(Extension):
    identifier = "CheckShieldedTxValidity"


class SubtensorTransactionExtension(Extension):
    identifier = "SubtensorTransactionExtension"


class DrandPriority(Extension):
    identifier = "DrandPriority"


def make_runtime() -> Runtime:
    """The chain's runtime."""
    made: list[Runtime] = []
    runtime = Runtime(
        RuntimeVersion(SPEC_VERSION),
        {
            0: system.pallet,
            1: randomness.pallet,
            2: timestamp.pallet,
            3: aura.pallet,
            4: grandpa.pallet,
            5: balances.pallet,
            6: payment.pallet,
        },
        (
            ext.CheckNonZeroSender(),
            ext.CheckSpecVersion(),
            ext.CheckTxVersion(),
            ext.CheckGenesis(),
            ext.CheckMortality(),
            ext.CheckNonce(),
            ext.CheckWeight(),
            ext.ChargeTransactionPayment(),
            SudoTransactionExtension(),
            CheckShieldedTxValidity(),
            SubtensorTransactionExtension(),
            DrandPriority(),
            ext.CheckMetadataHash(),
        ),
        (*host_apis(lambda: made[0]), *CORE_APIS),
    )
    made.append(runtime)
    return runtime
