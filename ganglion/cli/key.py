"""`ganglion key`: keys without files."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ganglion.cli.common import Ed25519, Json, crypto_of, new_app, show
from ganglion.errors import InvalidKey
from ganglion.keys import CryptoType, Keypair
from ganglion.ss58 import is_address, split

app = new_app("Make and inspect keys; nothing is stored.")


@app.command()
def generate(
    words: Annotated[int, typer.Option(help="12, 15, 18, 21 or 24 words.")] = 12,
    ed25519: Ed25519 = False,
    as_json: Json = False,
) -> None:
    """Make a new key and print its phrase."""
    show(_secret_facts(Keypair.generate(crypto_of(ed25519), words)), as_json)


@app.command()
def inspect(
    key: Annotated[
        str,
        typer.Argument(help="Secret URI, mnemonic, 0x seed, address, or - to read standard input."),
    ],
    ed25519: Ed25519 = False,
    as_json: Json = False,
) -> None:
    """Show what a secret URI or an address stands for."""
    text = typer.get_text_stream("stdin").readline().strip() if key == "-" else key
    if is_address(text, prefix=None):
        network, account = split(text)
        show({"publicKey": "0x" + account.hex(), "ss58Address": text, "network": network}, as_json)
        return
    show(_secret_facts(Keypair.from_uri(text, crypto_of(ed25519))), as_json)


def _secret_facts(pair: Keypair) -> dict[str, Any]:
    if pair.secret is None:
        raise InvalidKey("this key has no secret")
    facts: dict[str, Any] = {}
    if pair.phrase is not None:
        facts["secretPhrase"] = pair.phrase
    if pair.seed is not None:
        facts["secretSeed"] = "0x" + pair.seed.hex()
    facts["publicKey"] = "0x" + pair.public_key.hex()
    facts["ss58Address"] = pair.address
    facts["scheme"] = "ed25519" if pair.crypto is CryptoType.ED25519 else "sr25519"
    return facts
