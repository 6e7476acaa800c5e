"""`ganglion models`: the registry of models, and the calibration that fills it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ganglion.cli.common import (
    ROOT_DEFAULT,
    URL_DEFAULT,
    Json,
    Root,
    Signer,
    Url,
    ask,
    new_app,
    show,
    signer_of,
    table,
)
from ganglion.cli.own import run_app
from ganglion.errors import GanglionError
from ganglion.receipt import Receipt
from neurons import program
from subnets import registry
from subnets.models import ModelEntry, load_entry
from subnets.registry import Price, Registered

app = new_app("The models that subnets serve: hashes, thresholds, who vouches for them.")

Name = Annotated[str, typer.Argument(help="A model's name on the chain.")]
Entry = Annotated[Path, typer.Argument(help="The file that `calibrate` wrote.")]
Hint = Annotated[int, typer.Option(min=0, help="Price hint, rao a million tokens.")]


class BadEntry(GanglionError):
    """A calibration file that is missing or malformed, or a model that is not registered."""


def entry_in(path: Path) -> ModelEntry:
    """The entry in a calibration file; BadEntry in one sentence."""
    try:
        return load_entry(path)
    except (OSError, ValueError) as e:
        raise BadEntry(f"{path} holds no entry: {e}; `ganglion models calibrate` writes one") from e


def told(done: Receipt, what: str) -> None:
    """One line about a transaction that went through."""
    print(f"{what} in block {done.block_number}")  # noqa: T201


@app.command("list")
def list_models(url: Url = URL_DEFAULT, as_json: Json = False) -> None:
    """List the registered models."""
    found = ask(url, registry.listed)
    if as_json:
        show([model.to_json() for model in found], as_json)
        return
    rows = [
        (
            m.entry.name,
            m.entry.weights_hash.hex()[:12],
            "exact, fast" if m.entry.fast else "exact",
            m.price.prompt,
            m.price.completion,
            m.owner,
        )
        for m in found
    ]
    columns = ("model", "weights", "classes", "rao/M prompt", "rao/M output", "owner")
    table(f"{len(rows)} models", columns, rows)


@app.command("show")
def show_model(name: Name, url: Url = URL_DEFAULT, as_json: Json = False) -> None:
    """Show a model: hashes, thresholds, price, who vouches for them as they are."""

    async def read(client: Any) -> Registered | None:
        return await registry.read(client, name)

    found = ask(url, read)
    if found is None:
        raise BadEntry(f"the chain knows no model {name}: `ganglion models list` shows which")
    show(found.to_json(), as_json)


@app.command("calibrate")
def calibrate(
    model: Annotated[str, typer.Option(help="A model folder.")] = "tiny",
    engine: Annotated[str, typer.Option(help="The verifier's engine: exact or hf.")] = "exact",
    chunks: Annotated[int, typer.Option(min=4, help="Honest chunks a variant.")] = 400,
    out: Annotated[str, typer.Option(help="By default calibration.json beside the weights.")] = "",
) -> int:
    """Measure how far honest kernels, precisions and batch sizes stray; write the entry."""
    program.limit_threads()
    from neurons.calibration.__main__ import main

    arguments = ["--model", model, "--engine", engine, "--chunks", str(chunks)]
    return main([*arguments, "--out", out] if out else arguments)


@app.command("recheck")
def recheck(
    request: Annotated[int, typer.Argument(min=0, help="A request's number on the chain.")],
    model: Annotated[str, typer.Option(help="The model's folder, or tiny.")] = "tiny",
    engine: Annotated[str, typer.Option(help="An exact engine.")] = "exact",
    text: Annotated[str, typer.Option(help="A file with the input, if the chain has none.")] = "",
    url: Url = URL_DEFAULT,
    as_json: Json = False,
) -> None:
    """Make the answers to a request from the chain again, and say which were right."""
    program.limit_threads()
    from neurons.chain_answers import check_answers
    from neurons.engine.load import load

    loaded = load(engine, model)
    try:
        given = Path(text).read_bytes() if text else None
    except OSError as e:
        raise BadEntry(f"{text} cannot be read: {e.strerror}") from e
    found = ask(url, lambda c: check_answers(c, request, loaded, given))
    if as_json:
        show(found, as_json)
        return
    rows = [(one.hotkey, one.verdict, one.found or "nothing shown") for one in found]
    table(f"request {request}", ("miner", "on the chain", "made again"), rows)


@app.command("register")
def register(
    entry: Entry,
    signer: Signer = "",
    price: Hint = 0,
    prompt_price: Hint = 0,
    completion_price: Hint = 0,
    url: Url = URL_DEFAULT,
    root: Root = ROOT_DEFAULT,
) -> None:
    """Write an entry on the chain, for a deposit; or update your own.

    `--price` is for prompt and output alike; the two others overrule it.
    """
    made, key = entry_in(entry), signer_of(signer, root)
    hint = Price(prompt_price or price, completion_price or price)
    told(ask(url, lambda c: registry.register(c, key, made, hint)), f"{made.name} registered")


@app.command("vouch")
def vouch(
    entry: Entry, signer: Signer = "", url: Url = URL_DEFAULT, root: Root = ROOT_DEFAULT
) -> None:
    """Vouch, for a deposit, that the chain's entry is right: the one in the file you measured."""
    made, key = entry_in(entry), signer_of(signer, root)
    told(ask(url, lambda c: registry.vouch(c, key, made)), f"vouched for {made.name}")


@app.command("withdraw")
def withdraw(
    name: Name, signer: Signer = "", url: Url = URL_DEFAULT, root: Root = ROOT_DEFAULT
) -> None:
    """Vouch for a model no more; the deposit comes back."""
    key = signer_of(signer, root)
    told(ask(url, lambda c: registry.withdraw(c, key, name)), f"vouch for {name} withdrawn")


@app.command("remove")
def remove(
    name: Name, signer: Signer = "", url: Url = URL_DEFAULT, root: Root = ROOT_DEFAULT
) -> None:
    """Remove your own model; all deposits come back."""
    key = signer_of(signer, root)
    told(ask(url, lambda c: registry.remove(c, key, name)), f"{name} removed")


def run(argv: list[str]) -> int:
    """Run the command line; the exit code."""
    return run_app(app, "models", argv)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
