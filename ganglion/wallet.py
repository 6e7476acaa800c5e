"""Wallets: bittensor's folders of key files.

    <root>/<wallet>/coldkey            holds funds; encrypted unless asked otherwise
    <root>/<wallet>/coldkeypub.txt     its public half, for reading without a password
    <root>/<wallet>/hotkeys/<name>     signs for one neuron; plain by custom
    <root>/<wallet>/hotkeys/<name>pub.txt

The root is ~/.bittensor/wallets. Files are private to the owner; none is overwritten unless asked.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from ganglion import keyfile
from ganglion.errors import KeyfileError, WrongPassword
from ganglion.keys import Keypair

DEFAULT_ROOT = "~/.bittensor/wallets"
_NAME = re.compile(r"[\w.-]+")


@dataclass(frozen=True, slots=True)
class Wallet:
    """One cold key and one of its hot keys, as files.

    `Wallet.named("mine/miner1")` is short for wallet `mine`, hotkey `miner1`.
    """

    name: str = "default"
    hotkey_name: str = "default"
    root: Path = field(default_factory=lambda: Path(DEFAULT_ROOT).expanduser())

    def __post_init__(self) -> None:
        for what in (self.name, self.hotkey_name):
            if not _NAME.fullmatch(what) or what.startswith("."):
                raise KeyfileError(f"{what!r} is no wallet or key name: use letters, digits, . _ -")

    @classmethod
    def named(cls, text: str, root: Path | None = None) -> Wallet:
        """The wallet of `WALLET` or `WALLET/HOTKEY`; raises KeyfileError for other texts."""
        name, _, hotkey = text.partition("/")
        where = Path(DEFAULT_ROOT).expanduser() if root is None else root
        return cls(name, hotkey or "default", where)

    @property
    def folder(self) -> Path:
        """The wallet's folder."""
        return self.root / self.name

    @property
    def coldkey_file(self) -> Path:
        """Where the cold key lies."""
        return self.folder / "coldkey"

    @property
    def coldkeypub_file(self) -> Path:
        """Where the cold key's public half lies."""
        return self.folder / "coldkeypub.txt"

    @property
    def hotkey_file(self) -> Path:
        """Where the hot key lies."""
        return self.folder / "hotkeys" / self.hotkey_name

    @property
    def hotkeypub_file(self) -> Path:
        """Where the hot key's public half lies; older wallets have none."""
        return self.folder / "hotkeys" / f"{self.hotkey_name}pub.txt"

    def coldkey(self, password: str | None = None) -> Keypair:
        """The cold key; an encrypted one needs a password, given or in the environment."""
        return read_key(self.coldkey_file, password)

    def coldkeypub(self) -> Keypair:
        """The public half of the cold key, without any password."""
        return read_public(self.coldkeypub_file, self.coldkey_file)

    def hotkey(self, password: str | None = None) -> Keypair:
        """The hot key."""
        return read_key(self.hotkey_file, password)

    def hotkeypub(self) -> Keypair:
        """The public half of the hot key, without any password."""
        return read_public(self.hotkeypub_file, self.hotkey_file)

    def save_coldkey(self, pair: Keypair, password: str | None, overwrite: bool = False) -> None:
        """Write the cold key and its public half; `password=None` leaves it unencrypted."""
        write_key(self.coldkey_file, pair, password, overwrite)
        write_key(self.coldkeypub_file, pair.public(), None, overwrite=True)

    def save_hotkey(
        self, pair: Keypair, password: str | None = None, overwrite: bool = False
    ) -> None:
        """Write the hot key and its public half; `password=None` leaves it unencrypted."""
        write_key(self.hotkey_file, pair, password, overwrite)
        write_key(self.hotkeypub_file, pair.public(), None, overwrite=True)

    def hotkey_names(self) -> list[str]:
        """The names of the hot keys in this wallet, sorted."""
        folder = self.folder / "hotkeys"
        if not folder.is_dir():
            return []
        names = (f.name for f in folder.iterdir() if f.is_file() and not f.name.startswith("."))
        return sorted(n for n in names if not n.endswith("pub.txt"))


def wallet_names(root: Path) -> list[str]:
    """The names of the wallets below a root, sorted; none if the folder is not there."""
    if not root.is_dir():
        return []
    kept = (d for d in root.iterdir() if d.is_dir() and not d.name.startswith("."))
    return sorted(
        d.name for d in kept if (d / "coldkeypub.txt").exists() or (d / "hotkeys").exists()
    )


def read_key(path: Path, password: str | None = None) -> Keypair:
    """The key pair in a file; the password comes from the argument or the environment.

    Raises KeyfileError or WrongPassword, naming the file.
    """
    data = _read(path)
    if keyfile.is_encrypted(data) and password is None:
        password = password_from_environment(path)
        if password is None:
            raise WrongPassword(f"{path} is encrypted: give its password or set {env_name(path)}")
    try:
        return keyfile.load(data, password)
    except WrongPassword as e:
        raise WrongPassword(f"{path}: {e}") from e
    except KeyfileError as e:
        raise KeyfileError(f"{path}: {e}") from e


def read_public(path: Path, fallback: Path) -> Keypair:
    """The public half in `path` or, where that is missing, of the plain key file `fallback`."""
    if path.exists():
        return read_key(path).public()
    if fallback.exists() and not is_encrypted(fallback):
        return read_key(fallback).public()
    raise KeyfileError(f"{path} is not there: create the key or check the wallet's name")


def write_key(path: Path, pair: Keypair, password: str | None, overwrite: bool = False) -> None:
    """Write a key file that only the owner may read, in one step."""
    if path.exists() and not overwrite:
        raise KeyfileError(f"{path} exists: choose another name or ask to overwrite it")
    plain = keyfile.to_json(pair)
    data = plain if password is None else keyfile.encrypt(plain, password)
    draft = path.with_name(f".{path.name}.new")
    try:
        _private_folder(path.parent)
        draft.unlink(missing_ok=True)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        draft.replace(path)
    except OSError as e:
        raise KeyfileError(f"cannot write {path}: {e.strerror}") from e


def _private_folder(folder: Path) -> None:
    """Create the missing folders, each closed to others whatever the umask."""
    missing = [d for d in (folder, *folder.parents) if not d.exists()]
    for d in reversed(missing):
        d.mkdir(mode=0o700, exist_ok=True)


def is_encrypted(path: Path) -> bool:
    """Whether a key file needs a password; raises KeyfileError if it cannot be read."""
    return keyfile.is_encrypted(_read(path))


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > keyfile.MAX_SIZE:
            raise KeyfileError(f"{path} is too large for a key file")
        return path.read_bytes()
    except FileNotFoundError as e:
        raise KeyfileError(f"{path} is not there: create the key or check the wallet's name") from e
    except OSError as e:
        raise KeyfileError(f"cannot read {path}: {e.strerror}") from e


def env_name(path: Path) -> str:
    """The environment variable that may hold a key file's password, as bittensor names it."""
    return "BT_PW_" + str(path).replace(os.sep, "_").replace(".", "_").upper()


def password_from_environment(path: Path) -> str | None:
    """The password in the file's environment variable, or None.

    The variable holds what bittensor's tools write there: base64 of the password XORed with
    the variable's name. That hides it from a glance, no more.
    """
    name = env_name(path)
    stored = os.environ.get(name)
    if not stored:
        return None
    try:
        return _xor(base64.b64decode(stored, validate=True), name).decode()
    except (binascii.Error, UnicodeDecodeError) as e:
        raise WrongPassword(f"{name} does not hold a password in bittensor's form") from e


def password_for_environment(path: Path, password: str) -> tuple[str, str]:
    """Name and value of the variable that makes `read_key` open a file unasked."""
    name = env_name(path)
    return name, base64.b64encode(_xor(password.encode(), name)).decode()


def _xor(data: bytes, name: str) -> bytes:
    key = name.encode()
    return bytes(b ^ key[i % len(key)] for i, b in enumerate(data))
