"""`ganglion wallet`: wallets on disk, in bittensor's format."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from ganglion.cli.common import ROOT_DEFAULT, Ed25519, Json, Root, crypto_of, new_app, show
from ganglion.errors import GanglionError, InvalidKey, KeyfileError
from ganglion.keys import Keypair
from ganglion.wallet import Wallet, is_encrypted, wallet_names

app = new_app("Create, restore, list and show wallets.")

Name = Annotated[str, typer.Argument(help="WALLET, or WALLET/HOTKEY.")]
Words = Annotated[int, typer.Option(help="12, 15, 18, 21 or 24 words.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace keys that exist.")]
Plain = Annotated[
    bool, typer.Option("--no-password", help="Leave the cold key unencrypted (test chains only).")
]


@app.command()
def new(
    name: Name,
    words: Words = 12,
    no_password: Plain = False,
    overwrite: Overwrite = False,
    root: Root = ROOT_DEFAULT,
    as_json: Json = False,
) -> None:
    """Create a wallet: its cold key unless it has one, and with WALLET/HOTKEY a hot key."""
    wallet = Wallet.named(name, root)
    made: dict[str, Any] = {"wallet": wallet.name, "folder": str(wallet.folder)}
    if overwrite or not wallet.coldkey_file.exists():
        cold = Keypair.generate(words=words)
        wallet.save_coldkey(cold, _new_password(no_password), overwrite)
        made["coldkey"] = {"ss58Address": cold.address, "secretPhrase": cold.phrase}
    elif "/" not in name:
        raise KeyfileError(f"{wallet.coldkey_file} exists: choose another name or --overwrite")
    if "/" in name:
        hot = Keypair.generate(words=words)
        wallet.save_hotkey(hot, overwrite=overwrite)
        made["hotkey"] = {
            "name": wallet.hotkey_name,
            "ss58Address": hot.address,
            "secretPhrase": hot.phrase,
        }
    if not as_json:
        print("Write the phrases down and keep them secret: they are the only way back.")
    show(made, as_json)


@app.command()
def regen(
    name: Name,
    mnemonic: Annotated[str, typer.Option(help="The phrase; asked for if left out.")] = "",
    seed: Annotated[str, typer.Option(help="A 0x seed instead of a phrase.")] = "",
    no_password: Plain = False,
    overwrite: Overwrite = False,
    root: Root = ROOT_DEFAULT,
    ed25519: Ed25519 = False,
) -> None:
    """Restore a cold key (WALLET) or a hot key (WALLET/HOTKEY) from its phrase or seed."""
    wallet = Wallet.named(name, root)
    crypto = crypto_of(ed25519)
    if mnemonic and seed:
        raise InvalidKey("give the phrase or the seed, not both")
    if seed:
        pair = Keypair.from_uri(seed if seed.startswith("0x") else "0x" + seed, crypto)
    else:
        phrase = mnemonic or _asked("Secret phrase", hidden=True)
        pair = Keypair.from_mnemonic(phrase, crypto=crypto)
    if "/" in name:
        wallet.save_hotkey(pair, overwrite=overwrite)
        where = wallet.hotkey_file
    else:
        wallet.save_coldkey(pair, _new_password(no_password), overwrite)
        where = wallet.coldkey_file
    print(f"{pair.address} is in {where}")


@app.command("list")
def list_(root: Root = ROOT_DEFAULT, as_json: Json = False) -> None:
    """List the wallets and their hot keys."""
    found = [_facts(Wallet(n, root=root)) for n in wallet_names(root)]
    if as_json:
        show(found, as_json)
        return
    if not found:
        print(f"no wallets in {root}")
    for wallet in found:
        print(f"{wallet['wallet']}  {wallet['coldkey']}")
        for hotkey, address in wallet["hotkeys"].items():
            print(f"  {hotkey}  {address}")


@app.command("show")
def show_wallet(name: Name, root: Root = ROOT_DEFAULT, as_json: Json = False) -> None:
    """Show a wallet's addresses; secrets stay in their files."""
    wallet = Wallet.named(name, root)
    if not wallet.folder.is_dir():
        raise KeyfileError(f"there is no wallet {wallet.name!r} in {root}")
    facts = _facts(wallet)
    encrypted = wallet.coldkey_file.exists() and is_encrypted(wallet.coldkey_file)
    show(facts | {"folder": str(wallet.folder), "encrypted": encrypted}, as_json)


def _facts(wallet: Wallet) -> dict[str, Any]:
    hotkeys = {}
    for name in wallet.hotkey_names():
        hotkeys[name] = _address(Wallet(wallet.name, name, wallet.root), cold=False)
    return {"wallet": wallet.name, "coldkey": _address(wallet, cold=True), "hotkeys": hotkeys}


def _address(wallet: Wallet, *, cold: bool) -> str:
    try:
        return (wallet.coldkeypub() if cold else wallet.hotkeypub()).address
    except GanglionError as e:
        return f"(unreadable: {e})"


def _new_password(no_password: bool) -> str | None:
    if no_password:
        return None
    first = _asked("Password for the cold key", hidden=True)
    if first != _asked("The same again", hidden=True):
        raise KeyfileError("the two passwords differ: nothing was written")
    return first


def _asked(what: str, *, hidden: bool) -> str:
    """An answer from the terminal, or a line of standard input when that is no terminal."""
    if sys.stdin.isatty():
        found: str = typer.prompt(what, hide_input=hidden, err=True)
        return found
    line = sys.stdin.readline().rstrip("\n")
    if not line:
        raise KeyfileError(f"{what.lower()}: nothing was given, and there is no terminal to ask")
    return line
