"""system_*: what the node is, who its peers are, and an account's next nonce."""

from __future__ import annotations

from typing import Any

from chain.rpc.context import Node, hex0x
from chain.rpc.errors import invalid_params
from chain.rpc.methods import MethodTable
from chain.rpc.params import HexBytes
from ganglion.errors import InvalidAddress
from ganglion.ss58 import decode as ss58_decode
from ganglion.units import Hash

methods = MethodTable()
network_methods = MethodTable()
"""What only a node with a network has."""


@methods.rpc("system_name")
def name(node: Node) -> str:
    """The node program's name."""
    return node.identity.node_name


@methods.rpc("system_version")
def version(node: Node) -> str:
    """The node program's version."""
    return node.identity.version


@methods.rpc("system_chain")
def chain(node: Node) -> str:
    """The chain's name."""
    return node.identity.chain


@methods.rpc("system_chainType")
def chain_type(node: Node) -> str:
    """Development, Local or Live."""
    return node.identity.chain_type


@methods.rpc("system_properties")
def properties(node: Node) -> dict[str, Any]:
    """Address prefix, token symbol and decimals."""
    return node.identity.properties


@methods.rpc("system_nodeRoles")
def node_roles(node: Node) -> list[str]:
    """Full or Authority."""
    return list(node.identity.roles)


@methods.rpc("system_health")
def health(node: Node) -> dict[str, Any]:
    """Peers, whether the node is catching up, and whether it should have peers."""
    network = node.network()
    return {
        "peers": len(network.peers),
        "isSyncing": network.syncing,
        "shouldHavePeers": network.wanted,
    }


@methods.rpc("system_peers", unsafe=True)
def peers(node: Node) -> list[dict[str, Any]]:
    """Connected peers: id, roles, best block."""
    return list(node.network().peers)


@network_methods.rpc("system_localPeerId")
def local_peer_id(node: Node) -> str:
    """The node's own id on the network."""
    return node.network().peer_id


@network_methods.rpc("system_localListenAddresses")
def local_listen_addresses(node: Node) -> list[str]:
    """Where the network listens."""
    return list(node.network().addresses)


@methods.rpc("system_syncState")
def sync_state(node: Node) -> dict[str, int]:
    """First, current and highest known block."""
    current = node.store.best()[1]
    return {
        "startingBlock": node.started_at,
        "currentBlock": current,
        "highestBlock": max(current, node.network().highest),
    }


@methods.rpc("system_accountNextIndex", "account_nextIndex", blocking=True)
def account_next_index(node: Node, account: str) -> int:
    """The nonce an account's next transaction takes, the pool's included."""
    try:
        who = ss58_decode(account)
    except InvalidAddress as error:
        raise invalid_params(f"account: {error}") from None
    return node.engine.next_nonce(who)


@methods.rpc("system_dryRun", "system_dryRunAt", blocking=True)
def dry_run(node: Node, extrinsic: HexBytes, at: Hash | None = None) -> str:
    """Apply an extrinsic on top of a block and throw the state away; SCALE ApplyExtrinsicResult."""
    return hex0x(node.dry_run(extrinsic, at).encode())
