"""The words of a command line about sharded serving, for fronts and for span servers."""

from __future__ import annotations

import argparse

from ganglion import ss58
from ganglion.errors import GanglionError
from ganglion.wire.call import Target
from neurons import program
from neurons.engine.base import LanguageModel
from neurons.engine.load import Loaded, entry_for, load
from neurons.engine.parts import open_parts
from neurons.identity import Identity
from neurons.shards.directory import Source, SubnetSource, listed, target
from neurons.shards.front import AUDIT_SHARE, ShardedModel

SUBNET, AUTO = "subnet", "auto"


def front_options(made: program.Options) -> None:
    """A miner whose model's blocks are on other machines."""
    made.add_argument(
        "--spans",
        metavar="WHERE",
        type=where,
        help="serve the model through span servers (`neuron-miner span`), which see every "
        "activation: 'subnet' finds them among the subnet's neurons, or give "
        "HOTKEY@HOST:PORT,HOTKEY@HOST:PORT",
    )
    made.add_argument(
        "--audit",
        metavar="SHARE",
        type=program.share,
        default=AUDIT_SHARE,
        help="the share of passes of which one span is computed again, to find liars",
    )


def span_options(made: program.Options) -> None:
    """A server of some blocks."""
    made.add_argument(
        "--blocks",
        metavar="A:B",
        type=span,
        required=True,
        help="the blocks that this machine holds, from A up to but not B; 'auto' takes those "
        "that the subnet needs most, and moves when others need it more",
    )
    made.add_argument(
        "--count",
        metavar="N",
        type=program.whole(1, 65_535),
        help="how many blocks fit here, with --blocks auto",
    )
    made.add_argument(
        "--pages",
        type=program.whole(1, 1 << 20),
        default=4096,
        help="cache pages of 16 tokens, for the sessions of all fronts together",
    )
    made.add_argument(
        "--front",
        metavar="HOTKEY",
        type=hotkey,
        action="append",
        help="a front that may use this server; again for more. Without it every hotkey that is "
        "registered on the subnet may",
    )


def wrong_front(options: argparse.Namespace) -> str | None:
    """What is wrong with a front's options together."""
    if options.spans is None:
        return None
    if options.task == "embedding":
        return "--spans is for text: leave it out with --task embedding"
    if options.backend:
        return "--spans and --backend both say where tokens are made: leave one of them out"
    if options.attest:
        return "--attest says that prompts stay in this machine, and --spans sends activations out"
    if options.stand_by_answers:
        return "--stand-by-answers with --spans would stake your bond on others' machines"
    return None


def where(text: str) -> str | tuple[Target, ...]:
    """A --spans."""
    if text == SUBNET:
        return text
    try:
        return tuple(target(one) for one in text.split(","))
    except ValueError as e:
        raise argparse.ArgumentTypeError(str(e)) from e


def span(text: str) -> str | range:
    """A --blocks."""
    first, colon, last = text.partition(":")
    if text == AUTO:
        return text
    if not (colon and first.isdecimal() and last.isdecimal() and int(first) < int(last) < 65_536):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no span: give 0:16, say, or auto")
    return range(int(first), int(last))


def hotkey(text: str) -> bytes:
    """A --front, as a public key."""
    try:
        return ss58.decode(text, prefix=None)
    except GanglionError as e:
        raise argparse.ArgumentTypeError(f"{text[:60]!r} is no hotkey's address: {e}") from e


def release(model: LanguageModel) -> None:
    """Let go of span servers, if the model has some."""
    if isinstance(model, ShardedModel):
        model.close()


def load_model(options: argparse.Namespace, identity: Identity) -> Loaded:
    """The model that the options name, or the front of one, started; EngineError."""
    if options.spans is None:
        return load(options.engine, options.model)
    parts, tokenizer, folder = open_parts(options.engine, options.model)
    source: Source
    if options.spans == SUBNET:
        source = SubnetSource(options.network, identity.netuid, identity.hotkey)
    else:
        source = listed(options.spans)
    model = ShardedModel(parts, identity, source, options.audit)
    model.start()
    return Loaded(model, tokenizer, entry_for(model, folder))
