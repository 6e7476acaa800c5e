"""`ganglion person`: gates that let one hot key a person register, and the way through them."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ganglion import blindrsa
from ganglion.blindrsa import Asked
from ganglion.cli.common import (
    URL_DEFAULT,
    At,
    Json,
    Netuid,
    Url,
    ask,
    hotkey_of,
    new_app,
    show,
    view_at,
)
from ganglion.cli.sending import How, send, sending
from ganglion.client import Client
from ganglion.errors import EncodeError, KeyfileError, UnknownName
from ganglion.keys import CryptoType, Keypair
from ganglion.ss58 import decode
from ganglion.wire.persons import credential_message, holding_hash

app = new_app("Subnets with one seat a person: put a gate up, issue credentials, get and show one.")

PALLET = "Personhood"
KeyFile = Annotated[Path, typer.Argument(help="The issuer's key, a PEM file.")]
Secret = Annotated[Path, typer.Option("--secret", help="The file that `person ask` wrote.")]


@app.command()
def issuer(file: KeyFile) -> None:
    """Make an issuer's key, for one subnet. It stays with the issuer; the chain gets its half."""
    key = rsa.generate_private_key(blindrsa.EXPONENT, 3072)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_new(file, pem)
    show({"file": str(file), "modulus": "0x" + blindrsa.modulus_of(key.public_key()).hex()}, True)


@app.command()
@sending
def gate(netuid: Netuid, file: KeyFile, how: How) -> None:
    """Ask for this issuer's credentials on your subnet; who has a seat already keeps it."""
    modulus = blindrsa.modulus_of(issuer_key(file).public_key())
    send(how, lambda r: r.call(PALLET, "set_gate", netuid=netuid, modulus=modulus))


@app.command()
@sending
def ungate(netuid: Netuid, how: How) -> None:
    """Ask for no credentials on your subnet any more."""
    send(how, lambda r: r.call(PALLET, "set_gate", netuid=netuid, modulus=None))


@app.command("ask")
def ask_(netuid: Netuid, secret: Secret, url: Url = URL_DEFAULT) -> None:
    """Make a key for a subnet and what to send to its issuer, who does not see the key."""
    modulus, genesis = ask(url, lambda client: issuer_of(client, netuid))
    seed = secrets.token_bytes(32)
    person = Keypair.from_seed(seed, crypto=CryptoType.ED25519)
    message = credential_message(genesis, netuid, person.public_key)
    asked = blindrsa.ask(modulus, message)
    kept = {
        "netuid": netuid,
        "genesis": "0x" + genesis.hex(),
        "modulus": "0x" + modulus.hex(),
        "seed": "0x" + seed.hex(),
        "inverse": hex(asked.inverse),
    }
    write_new(secret, orjson.dumps(kept))
    typer.echo(base64.b64encode(asked.blinded).decode())


@app.command()
def issue(file: KeyFile, request: Annotated[str, typer.Argument(help="From `ask`.")]) -> None:
    """As the issuer: sign a request, once for each person that you know."""
    answer = blindrsa.issue(issuer_key(file), unbase64(request, "the request"))
    typer.echo(base64.b64encode(answer).decode())


@app.command()
@sending
def present(
    hotkey: Annotated[str, typer.Argument(help="An address, WALLET/HOTKEY, or //Bob.")],
    answer: Annotated[str, typer.Argument(help="What the issuer answered.")],
    secret: Secret,
    how: How,
) -> None:
    """Show the credential: this hot key holds it from now on, and may register."""
    netuid, genesis, modulus, person, inverse = read_secret(secret)
    address = hotkey_of(hotkey, how.root)
    message = credential_message(genesis, netuid, person.public_key)
    credential = blindrsa.finish(
        modulus, message, Asked(b"", inverse), unbase64(answer, "the answer")
    )
    said = person.sign(holding_hash(genesis, netuid, decode(address, prefix=None)))
    send(
        how,
        lambda r: r.call(
            PALLET,
            "present",
            netuid=netuid,
            hotkey=address,
            person=person.public_key,
            credential=credential,
            statement=said,
        ),
    )


@app.command()
@sending
def forget(netuid: Netuid, person: str, how: How) -> None:
    """Get the deposit of a credential back whose gate is gone."""
    send(how, lambda r: r.call(PALLET, "forget", netuid=netuid, person=person))


@app.command("show")
def show_(netuid: Netuid, at: At = "", url: Url = URL_DEFAULT, as_json: Json = False) -> None:
    """Who may register on a subnet: its issuer, and the hot keys that hold a credential."""

    async def look(client: Any) -> dict[str, Any]:
        view = await view_at(client, at)
        gate = await view.query(PALLET, "Gates", netuid)
        held = await view.query_map(PALLET, "Holdings", netuid)
        return {
            "netuid": netuid,
            "gate": gate,
            "holders": {one["hotkey"]: person for person, one in held},
        }

    show(ask(url, look), as_json)


async def issuer_of(client: Client, netuid: int) -> tuple[bytes, bytes]:
    """A subnet's issuer and the chain's genesis hash; UnknownName if it asks for nothing."""
    gate = await client.query(PALLET, "Gates", netuid)
    if gate is None:
        raise UnknownName(f"subnet {netuid} asks for no credentials: register as on any other")
    raw = gate["modulus"]
    modulus = bytes.fromhex(raw.removeprefix("0x")) if isinstance(raw, str) else bytes(raw)
    return modulus, bytes.fromhex(client.genesis_hash.removeprefix("0x"))


def issuer_key(file: Path) -> rsa.RSAPrivateKey:
    """The key in a PEM file; KeyfileError if it is none."""
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), None)
    except (OSError, ValueError, TypeError) as e:
        raise KeyfileError(f"{file} holds no issuer's key: {e}") from e
    if not isinstance(key, rsa.RSAPrivateKey):
        raise KeyfileError(f"{file} holds another kind of key: make one with `person issuer`")
    return key


def read_secret(file: Path) -> tuple[int, bytes, bytes, Keypair, int]:
    """What `ask` wrote: subnet, chain, issuer, the fresh key, and what hides it."""
    try:
        kept = orjson.loads(file.read_bytes())
        raw = [bytes.fromhex(kept[name][2:]) for name in ("genesis", "modulus", "seed")]
        person = Keypair.from_seed(raw[2], crypto=CryptoType.ED25519)
        return int(kept["netuid"]), raw[0], raw[1], person, int(kept["inverse"], 16)
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise EncodeError(f"{file} is not what `ganglion person ask` wrote: {e}") from e


def write_new(file: Path, content: bytes) -> None:
    """A file for its owner's eyes; one that is there is never overwritten."""
    try:
        with open(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as out:
            out.write(content)
    except OSError as e:
        raise KeyfileError(f"{file} cannot be written: {e.strerror}") from e


def unbase64(text: str, what: str) -> bytes:
    """Bytes; EncodeError if the text is cut or no base64."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as e:
        raise EncodeError(f"{what} is no base64 text, or a part of it: {e}") from e
