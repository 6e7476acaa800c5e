"""The command line of a miner."""

from __future__ import annotations

import argparse
from urllib.parse import urlsplit

from ganglion.attest.evidence import MACHINES, MOCK
from neurons import program
from neurons.disputes.stand import stand_options
from neurons.engine.drafts import DIALECTS
from neurons.miner.asks import ask_options
from neurons.miner.attest import words_of
from neurons.miner.hardware_options import hardware_options
from neurons.miner.redeemer import pay_options
from neurons.miner.requests import request_options
from neurons.miner.work import work_options
from neurons.shards.options import front_options, wrong_front


def parser() -> argparse.ArgumentParser:
    """The options of `neuron-miner`, in the groups that its help shows."""
    about = "Serve a model on a subnet. `neuron-miner check ...` says first what would go wrong."
    made = program.common_options("neuron-miner", about)
    made.add_argument(
        "--no-register", action="store_true", help="fail instead of paying for a registration"
    )
    address_options(made.add_argument_group("where it is reached"))
    engine_options(made.add_argument_group("how it computes"))
    front_options(made.add_argument_group("where its model's blocks are, if not here"))
    money = made.add_argument_group("what it asks")
    money.add_argument(
        "--price", type=program.price, default=1, help="asked rao per million tokens"
    )
    money.add_argument(
        "--price-cached",
        type=program.price,
        metavar="RAO",
        help="the same for tokens of a prompt that are still in the cache (default: --price)",
    )
    ask_options(money)
    pay_options(money)
    stand_options(money)
    work = made.add_argument_group("what it does for the chain")
    request_options(work)
    work_options(work)
    hardware = made.add_argument_group("what it shows of its machine")
    hardware_options(hardware)
    attest_options(hardware)
    return made


def address_options(made: program.Options) -> None:
    """Where it listens and what it publishes."""
    made.add_argument("--host", type=program.ip, default="0.0.0.0", help="address to listen on")
    made.add_argument("--port", type=program.port_number, default=8091, help="0: any free one")
    made.add_argument(
        "--external-host",
        type=program.ip,
        metavar="IP",
        help="the address to publish; default: --host, where 0.0.0.0 means this machine",
    )


def engine_options(made: program.Options) -> None:
    """Sizes, and who guesses ahead."""
    made.add_argument(
        "--pages", type=program.whole(1, 1 << 24), default=1024, help="cache pages of 16 tokens"
    )
    made.add_argument(
        "--width", type=program.whole(1, 65536), default=32, help="answers that run at once"
    )
    made.add_argument(
        "--draft",
        choices=("off", "lookup"),
        default="off",
        help="lookup: guess tokens from repetitions and check several in a pass; answers stay "
        "the same. Worth it for few callers at a time and low temperatures",
    )
    made.add_argument(
        "--backend",
        metavar="URL",
        type=http_url,
        help="a server with the same weights (vLLM, SGLang, llama.cpp) that drafts tokens; "
        "--engine checks them. Its key, if any, is read from BACKEND_API_KEY",
    )
    made.add_argument("--backend-model", metavar="NAME", help="the model's name there")
    made.add_argument("--backend-dialect", choices=DIALECTS, default="openai")


def attest_options(made: program.Options) -> None:
    """Trusted hardware."""
    made.add_argument(
        "--attest",
        choices=(*sorted(MACHINES), MOCK),
        help="the trusted hardware that this miner runs in; mock proves nothing and is for tests",
    )
    made.add_argument(
        "--attest-command",
        metavar="CMD",
        type=command,
        help="gets 64 bytes of report data in hex as its last argument and prints the evidence "
        "as JSON; see docs/attestation.md",
    )


def http_url(text: str) -> str:
    """A --backend."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no URL of a server: give http://127.0.0.1:8000/v1, say"
        )
    return text


def command(text: str) -> str:
    """An --attest-command."""
    try:
        words_of(text)
    except ValueError as e:
        raise argparse.ArgumentTypeError(f"{text!r} is no command: {e}") from e
    return text


def contradiction(options: argparse.Namespace) -> str | None:
    """What is wrong with the options together."""
    if wrong_front(options):
        return wrong_front(options)
    if options.backend and options.task == "embedding":
        return "--backend drafts text; leave it out with --task embedding"
    if options.backend and options.draft != "off":
        return "--backend and --draft both guess tokens: leave one of them out"
    real = options.attest not in (None, MOCK)
    if real != bool(options.attest_command):
        return "--attest KIND and --attest-command CMD belong together (mock needs no command)"
    if options.attest and options.task == "embedding":
        return "--attest is for text: embeddings are not sealed"
    if options.price_cached is not None and options.price_cached > options.price:
        return "--price-cached is above --price: tokens in the cache cannot cost more than others"
    if options.chain_requests and options.task == "embedding":
        return "--chain-requests is for text: leave it out with --task embedding"
    if options.stand_by_answers and (options.task, options.engine) != ("text", "exact"):
        return "--stand-by-answers is for text of --engine exact: nothing else can be judged"
    if (options.jobs or options.fill_intents) and options.task == "embedding":
        return "--jobs and --fill-intents are for text: leave them out with --task embedding"
    if options.paid and options.task == "embedding":
        return "--paid is for text: leave it out with --task embedding"
    return None
