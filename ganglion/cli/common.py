"""What the commands share: options, reading arguments, reaching the node, printing results."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, is_dataclass
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from ganglion import ss58
from ganglion.balance import Balance
from ganglion.client import Client, View
from ganglion.errors import InvalidAddress, InvalidKey, KeyfileError
from ganglion.keys import CryptoType, Keypair
from ganglion.metadata_cache import MetadataCache
from ganglion.rpc import DEFAULT_URL
from ganglion.wallet import (
    DEFAULT_ROOT,
    Wallet,
    is_encrypted,
    password_from_environment,
    read_key,
)

T = TypeVar("T")

Url = Annotated[str, typer.Option("--url", envvar="GANGLION_URL", help="The node's address.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]
Netuid = Annotated[int, typer.Argument(min=0, max=65_535, help="The subnet's number.")]
At = Annotated[str, typer.Option("--at", help="A block hash; by default the best block.")]
Root = Annotated[
    Path, typer.Option("--wallet-root", envvar="GANGLION_WALLETS", help="Where wallets lie.")
]
Signer = Annotated[
    str,
    typer.Option("--signer", "-s", help="WALLET or WALLET/HOTKEY, or a URI such as //Alice."),
]
Ed25519 = Annotated[bool, typer.Option("--ed25519", help="An ed25519 key instead of sr25519.")]

ROOT_DEFAULT = Path(DEFAULT_ROOT).expanduser()
URL_DEFAULT = DEFAULT_URL
SHORTEST_ADDRESS = 40
"""Characters; what is shorter was meant as a name."""


def new_app(about: str) -> typer.Typer:
    """A command group in this package's manner."""
    return typer.Typer(
        help=about, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
    )


def crypto_of(ed25519: bool) -> CryptoType:
    """The scheme an --ed25519 flag stands for."""
    return CryptoType.ED25519 if ed25519 else CryptoType.SR25519


def ask(url: str, work: Callable[[Client], Awaitable[T]]) -> T:
    """Connect, do the work, disconnect."""

    async def go() -> T:
        async with Client(url, cache=MetadataCache.default()) as client:
            return await work(client)

    return asyncio.run(go())


def signer_of(text: str, root: Path, *, hotkey: bool = False) -> Keypair:
    """The key a --signer names: a wallet's cold (or hot) key, or a URI starting with //."""
    if not text:
        raise InvalidKey("who signs? give --signer WALLET, or --signer //Alice on a test chain")
    if text.startswith("//"):
        return Keypair.from_uri(text)
    wallet = Wallet.named(text, root)
    return unlocked(wallet.hotkey_file if hotkey else wallet.coldkey_file)


def unlocked(path: Path) -> Keypair:
    """The key in a file, asking for its password at a terminal if it has one."""
    password = None
    if path.exists() and is_encrypted(path) and not password_from_environment(path):
        if not sys.stdin.isatty():
            raise KeyfileError(f"{path} is encrypted and there is no terminal to ask its password")
        password = typer.prompt(f"Password of {path.name}", hide_input=True, err=True)
    return read_key(path, password)


def account_of(text: str, root: Path) -> str:
    """An account to look at: an address, a //URI, or the cold key of a wallet."""
    return _public(text, root, lambda: Wallet.named(text, root).coldkeypub())


def hotkey_of(text: str, root: Path) -> str:
    """A hot key to work with: an address, a //URI, or WALLET/HOTKEY."""
    return _public(text, root, lambda: Wallet.named(text, root).hotkeypub())


def _public(text: str, root: Path, of_wallet: Callable[[], Keypair]) -> str:
    if text.startswith("//"):
        return Keypair.from_uri(text).address
    try:
        ss58.decode(text)
    except InvalidAddress as reason:
        try:
            return of_wallet().address
        except KeyfileError:
            if len(text) >= SHORTEST_ADDRESS:
                raise reason from None
            raise InvalidAddress(
                f"{text!r} is neither an SS58 address nor a key below {root}: "
                "`ganglion wallet list` shows those"
            ) from None
    return text


def value_of(text: str) -> Any:
    """An argument of unknown type: JSON if it reads as JSON, otherwise the text itself."""
    try:
        return json.loads(text, parse_float=str)
    except ValueError:
        return text


def show(value: Any, as_json: bool) -> None:
    """Print a decoded value: JSON, or indented lines of `name: value`."""
    if as_json:
        print(json.dumps(plain(value)))
    else:
        for line in _lines(plain(value), 0):
            print(line)


def plain(value: Any) -> Any:
    """A value in JSON's types; bytes as text if they are readable, else as 0x hex."""
    if isinstance(value, Balance):
        return {"rao": value.rao, "amount": str(value)}
    if isinstance(value, bytes):
        text = value.decode(errors="replace")
        return text if text.isprintable() and "\ufffd" not in text else "0x" + value.hex()
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return int(value) if isinstance(value, IntEnum) else value


def _lines(value: Any, depth: int) -> Iterable[str]:
    pad = "  " * depth
    if isinstance(value, dict) and value:
        for key, item in value.items():
            if isinstance(item, dict | list) and item:
                yield f"{pad}{key}:"
                yield from _lines(item, depth + 1)
            else:
                yield f"{pad}{key}: {_word(item)}"
    elif isinstance(value, list) and value:
        for item in value:
            if isinstance(item, dict | list) and item:
                yield f"{pad}-"
                yield from _lines(item, depth + 1)
            else:
                yield f"{pad}- {_word(item)}"
    else:
        yield f"{pad}{_word(value)}"


def _word(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if value not in ({}, []) else "(empty)"


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table."""
    from rich.console import Console
    from rich.table import Table

    made = Table(box=None, header_style="bold")
    for n, name in enumerate(columns):
        made.add_column(name, justify="left" if n == 0 else "right", overflow="fold")
    for row in rows:
        made.add_row(*(str(cell) for cell in row))
    # Off a terminal nothing is folded to a width: programs read it.
    print(title)
    Console(width=None if sys.stdout.isatty() else 240).print(made)


def brief(name: str) -> str:
    """An address or a hash as a table shows it: whole to programs, its ends on a terminal, where
    lines are short and `--json` has the rest."""
    if not sys.stdout.isatty() or len(name) < SHORTEST_ADDRESS:
        return name
    return f"{name[:6]}..{name[-5:]}"


async def view_at(client: Client, at: str) -> View:
    """The chain at the block of an `At` option."""
    return client.at(at) if at else await client.at_head()
