"""The runtime table: which pallets, extensions and APIs the chain is made of."""

from __future__ import annotations

from chain import extensions as ext
from chain.apis_core import CORE_APIS
from chain.apis_host import host_apis, version_type
from chain.apis_pool import pool_api
from chain.apis_shield import shield_api
from chain.pallets import (
    admin_utils,
    alpha_assets,
    aura,
    balances,
    bonds,
    channels,
    commitments,
    court,
    crowdloan,
    disputes,
    drand,
    evm_chain_id,
    grandpa,
    intents,
    jobs,
    leases,
    limit_orders,
    market,
    mev_shield,
    model_registry,
    multisig,
    personhood,
    preimage,
    proxy,
    randomness,
    reports,
    requests,
    safe_mode,
    scheduler,
    sudo,
    swap,
    system,
    timestamp,
    utility,
    vouching,
)
from chain.pallets import transaction_payment as payment
from chain.pallets.call_filter import call_filter
from chain.pallets.drand import DrandPriority
from chain.pallets.market_api import market_api
from chain.pallets.mev_shield import CheckShieldedTxValidity
from chain.pallets.proxy_types import proxy_filter_api
from chain.pallets.subtensor import pallet as subtensor
from chain.pallets.subtensor.apis import SUBTENSOR_APIS
from chain.pallets.subtensor.guards import SubtensorTransactionExtension, guard
from chain.pallets.sudo import SudoTransactionExtension
from chain.runtime.runtime import Runtime, RuntimeVersion

SPEC_VERSION = 463
"""Raise with every change of metadata: clients cache by genesis hash and this number."""


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
            7: subtensor.pallet,
            11: utility.pallet,
            12: sudo.pallet,
            13: multisig.pallet,
            14: preimage.pallet,
            15: scheduler.pallet,
            16: proxy.pallet,
            18: commitments.pallet,
            19: admin_utils.pallet,
            20: safe_mode.pallet,
            23: evm_chain_id.pallet,
            26: drand.pallet,
            27: crowdloan.pallet,
            28: swap.pallet,
            30: mev_shield.pallet,
            31: alpha_assets.pallet,
            32: limit_orders.pallet,
            100: model_registry.pallet,
            101: channels.pallet,
            102: market.pallet,
            103: leases.pallet,
            104: bonds.pallet,
            105: jobs.pallet,
            106: intents.pallet,
            107: disputes.pallet,
            108: requests.pallet,
            109: reports.pallet,
            110: vouching.pallet,
            111: court.pallet,
            112: personhood.pallet,
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
        (
            *host_apis(lambda: made[0]),
            pool_api(lambda: made[0]),
            shield_api(lambda: made[0]),
            *CORE_APIS,
            *SUBTENSOR_APIS,
            proxy_filter_api,
            market_api,
            reports.reports_api,
        ),
        call_filter=call_filter,
        guards=(guard, personhood.guard),
    )
    made.append(runtime)
    system.Version.value = version_type(runtime)
    return runtime
