"""The command line of a gateway."""

from __future__ import annotations

import argparse
from pathlib import Path

from ganglion.balance import Balance
from ganglion.errors import GanglionError
from neurons import program
from neurons.gateway.performance import source
from neurons.gateway.router import Policy

ROUTES = {
    "price": "how much a lower price counts in choosing a miner; 0: not at all",
    "latency": "how much a quicker first token counts",
    "load": "how much fewer open requests count",
    "quality": "how much a higher incentive on the chain counts",
    "affinity": "times that a miner with the prompt's beginning in its cache is preferred",
}
DEFAULT_DATABASE = "sqlite:///ganglion-gateway.db"


def parser() -> argparse.ArgumentParser:
    """The options of `neuron-gateway`, in the groups that its help shows."""
    made = program.common_options("neuron-gateway", "One OpenAI-compatible endpoint.")
    made.add_argument(
        "--embedding-netuid", type=program.netuid, help="a second subnet, for embeddings"
    )
    made.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    made.add_argument(
        "--port", type=program.port_number, default=8080, help="the port to listen on"
    )
    caller_options(made.add_argument_group("callers: who may, and what they pay"))
    trust_options(made.add_argument_group("miners: whom to trust"))
    pay_options(made.add_argument_group("miners: how they are paid"))
    route_options(made.add_argument_group("miners: who is chosen"))
    return made


def database_option(made: program.Options) -> None:
    """Where everything is kept."""
    made.add_argument(
        "--database",
        default=DEFAULT_DATABASE,
        metavar="URL",
        help="keys, budgets and receipts, shared by gateways behind one name: sqlite:///FILE or "
        "postgresql://... (default: %(default)s)",
    )


def caller_options(made: program.Options) -> None:
    """Keys and prices."""
    database_option(made)
    made.add_argument("--no-keys", action="store_true", help="serve anybody, without API keys")
    made.add_argument(
        "--price-in", type=program.price, default=0, help="rao per million prompt tokens"
    )
    made.add_argument(
        "--price-cached",
        type=program.price,
        metavar="RAO",
        help="the same for those that a miner had in its cache (default: --price-in)",
    )
    made.add_argument(
        "--price-out", type=program.price, default=0, help="rao per million new tokens"
    )


def trust_options(made: program.Options) -> None:
    """What is judged here or elsewhere."""
    made.add_argument("--verify", action="store_true", help="load --model to verify answers with")
    made.add_argument(
        "--sample", type=program.share, default=0.05, help="share kept for a validator"
    )
    made.add_argument(
        "--performance",
        action="append",
        default=[],
        type=source,
        metavar="URL",
        help="a validator whose measurements count for X-Ganglion-Capability, as "
        "http://HOTKEY@HOST:PORT; give three or more, so that none decides alone",
    )
    made.add_argument(
        "--attest-policy",
        type=Path,
        metavar="FILE",
        help="which trusted hardware and programs confidential requests may go to (TOML; see "
        "docs/attestation.md)",
    )
    made.add_argument(
        "--attest-roots",
        type=Path,
        metavar="FOLDER",
        help="AMD's and NVIDIA's keys: amd-*.pem, nvidia-jwks.json",
    )


def pay_options(made: program.Options) -> None:
    """Payment channels."""
    made.add_argument(
        "--pay",
        action="store_true",
        help="pay miners that ask for it, through payment channels; see docs/payments.md",
    )
    made.add_argument(
        "--deposit",
        type=tao,
        default=Balance.tao("1"),
        metavar="TAO",
        help="what a channel to a miner is opened and topped up with, from the hotkey's balance; "
        "0: use only channels that name this hotkey as their voucher key (default: 1)",
    )


def route_options(made: program.Options) -> None:
    """The powers of the router's score."""
    for name, what in ROUTES.items():
        made.add_argument(
            f"--route-{name}",
            type=program.power,
            default=getattr(Policy(), name),
            metavar="POWER",
            help=f"{what} (default: %(default)s)",
        )


def tao(text: str) -> Balance:
    """A --deposit."""
    try:
        return Balance.tao(text)
    except GanglionError as e:
        raise argparse.ArgumentTypeError(str(e)) from None


def policy_of(options: argparse.Namespace) -> Policy:
    """The routing policy of the options."""
    return Policy(**{name: getattr(options, f"route_{name}") for name in ROUTES})
