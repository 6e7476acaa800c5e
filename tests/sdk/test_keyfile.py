"""Key files written by other programs open here, and ours have the same form."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganglion import keyfile
from ganglion.errors import KeyfileError, WrongPassword
from ganglion.keys import CryptoType, Keypair, dev_key
from ganglion.wallet import (
    Wallet,
    env_name,
    password_for_environment,
    read_key,
    wallet_names,
    write_key,
)

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "keyfiles.json").read_text()
)
PASSWORD: str = GOLDEN["password"]
ALICE = dev_key("Alice")
FORMS = {
    "nacl": bytes.fromhex(GOLDEN["nacl_hex"]),
    "ansible": GOLDEN["ansible"].encode(),
    "fernet": GOLDEN["fernet"].encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_encrypted_files_of_other_programs(form: str) -> None:
    pair = keyfile.load(FORMS[form], PASSWORD)
    assert pair.address == ALICE.address
    assert ALICE.verify(b"x", pair.sign(b"x"))


@pytest.mark.parametrize("form", ["nacl", "ansible"])
def test_a_mistyped_password_is_one_clear_sentence(form: str) -> None:
    with pytest.raises(WrongPassword, match="does not open") as e:
        keyfile.load(FORMS[form], "golden-pasword")
    assert "\n" not in str(e.value)


def test_plain_files_of_other_programs() -> None:
    alice = keyfile.load(GOLDEN["plain"].encode())
    assert (alice.address, alice.phrase, alice.seed) == (ALICE.address, None, None)
    assert alice.secret == ALICE.secret
    full = keyfile.load(GOLDEN["plain_mnemonic"].encode())
    assert full == Keypair.from_mnemonic(" ".join(["abandon"] * 11 + ["about"]))
    edward = keyfile.load(GOLDEN["plain_ed25519"].encode())
    assert edward.crypto is CryptoType.ED25519
    assert edward.verify(b"x", edward.sign(b"x"))
    assert keyfile.load(GOLDEN["public"].encode()) == ALICE.public()


@pytest.mark.parametrize("name", ["plain", "plain_mnemonic", "plain_ed25519", "public"])
def test_our_files_say_the_same_as_theirs(name: str) -> None:
    theirs = json.loads(GOLDEN[name])
    assert json.loads(keyfile.to_json(keyfile.from_json(GOLDEN[name].encode()))) == theirs


def test_encrypting_again_gives_another_file_that_opens(tmp_path: Path) -> None:
    path = tmp_path / "coldkey"
    write_key(path, ALICE, PASSWORD)
    assert path.read_bytes().startswith(keyfile.NACL_TAG)
    assert path.read_bytes() != FORMS["nacl"]
    assert read_key(path, PASSWORD) == ALICE
    with pytest.raises(WrongPassword, match=env_name(path)):
        read_key(path)


def test_the_password_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "my.coldkey"
    path.write_bytes(FORMS["ansible"])
    name, value = password_for_environment(path, PASSWORD)
    assert name.endswith("_MY_COLDKEY")
    monkeypatch.setenv(name, value)
    assert read_key(path).address == ALICE.address
    monkeypatch.setenv(name, "not base64!")
    with pytest.raises(WrongPassword, match="form"):
        read_key(path)


def test_the_environment_form_is_that_of_other_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    known = GOLDEN["environment"]
    name, value = password_for_environment(Path("x"), known["password"])
    assert (name, value) == (known["name"], known["value"])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "neither JSON"),
        (b"\xff\xfe", "neither JSON"),
        (b"[]", "no key"),
        (b"{}", "neither a secret"),
        (b'{"privateKey": "0x00"}', "64 bytes"),
        (b'{"privateKey": 5}', "hexadecimal"),
        (b'{"publicKey": "0x00"}', "32 bytes"),
        (b'{"ss58Address": "5Grw"}', "length"),
        (b'{"secretPhrase": "a b c"}', "3"),
        (b'{"secretPhrase": 3}', "not text"),
        (b'{"cryptoType": 2}', "crypto type 2"),
        (b'{"secretSeed": "' + b"11" * 32 + b'", "publicKey": "' + b"22" * 32 + b'"}', "not that"),
        (b"$NACL", "cut short"),
        (b"$ANSIBLE_VAULT;1.1;AES256\nzz", "malformed"),
        (b"$ANSIBLE_VAULT;1.1;AES256\n3030", "malformed"),
        (b"x" * (keyfile.MAX_SIZE + 1), "no key file"),
    ],
)
def test_malformed_files_are_refused(data: bytes, says: str) -> None:
    with pytest.raises(KeyfileError, match=says):
        keyfile.load(data, "pw")


@given(st.dictionaries(st.sampled_from(sorted(json.loads(GOLDEN["plain_mnemonic"]))), st.text()))
def test_any_json_is_read_or_refused(changes: dict[str, str]) -> None:
    try:
        keyfile.from_json(json.dumps(json.loads(GOLDEN["plain_mnemonic"]) | changes).encode())
    except KeyfileError:
        return


def test_wallet_folder(tmp_path: Path) -> None:
    root = tmp_path / "wallets"
    wallet = Wallet.named("mine/miner1", root)
    cold, hot = Keypair.generate(), Keypair.generate()
    old = os.umask(0)
    try:
        wallet.save_coldkey(cold, password=None)
        wallet.save_hotkey(hot)
    finally:
        os.umask(old)
    assert wallet.coldkey() == cold
    assert wallet.hotkey() == hot
    assert wallet.coldkeypub() == cold.public()
    assert wallet.hotkeypub() == hot.public()
    assert wallet_names(root) == ["mine"]
    assert wallet.hotkey_names() == ["miner1"]
    assert stat.S_IMODE(wallet.hotkey_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(wallet.hotkey_file.parent.stat().st_mode) == 0o700
    with pytest.raises(KeyfileError, match="exists"):
        wallet.save_hotkey(cold)
    assert wallet.hotkey() == hot
    wallet.save_hotkey(cold, overwrite=True)
    assert wallet.hotkey() == cold


def test_old_wallets_have_no_public_hotkey_file(tmp_path: Path) -> None:
    wallet = Wallet.named("old/h", tmp_path)
    wallet.save_hotkey(ALICE)
    wallet.hotkeypub_file.unlink()
    assert wallet.hotkeypub() == ALICE.public()


def test_a_missing_wallet_says_where_it_looked(tmp_path: Path) -> None:
    assert wallet_names(tmp_path / "none") == []
    with pytest.raises(KeyfileError, match="coldkeypub.txt is not there"):
        Wallet.named("none", tmp_path).coldkeypub()
    with pytest.raises(KeyfileError, match="coldkey is not there"):
        Wallet.named("none", tmp_path).coldkey()


@pytest.mark.parametrize("name", ["../x", "", "a/b/c", ".hidden", "a/../b"])
def test_names_stay_inside_the_root(name: str, tmp_path: Path) -> None:
    with pytest.raises(KeyfileError, match="name"):
        Wallet.named(name, tmp_path)
