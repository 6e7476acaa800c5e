"""The `ganglion` command: what people type, and what it says when it cannot."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chain.pool import errors as pool
from ganglion.cli.common import account_of, hotkey_of
from ganglion.cli.main import MOUNTED, OWN, main, usage
from ganglion.keys import DEV_PHRASE, dev_key
from ganglion.pool_errors import CODES
from ganglion.wallet import Wallet
from localnet.node_process import NodeProcess

ALICE, BOB = dev_key("Alice"), dev_key("Bob")
NOWHERE = "ws://127.0.0.1:1"
Run = Callable[..., tuple[int, str, str]]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.delenv("GANGLION_URL", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))

    def go(*argv: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = main(list(argv))
        out, err = capsys.readouterr()
        return code, out, err

    return go


def test_usage_names_every_command(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    for name in OWN:
        assert f"  {name} " in out
    assert run() == (2, usage(), "")
    code, out, _ = run("--version")
    assert (code, out.split()[0]) == (0, "ganglion")


@pytest.mark.parametrize("name", OWN)
def test_every_command_has_help(run: Run, name: str) -> None:
    code, out, _ = run(name, "--help")
    assert code == 0
    assert f"ganglion {name}" in out


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (
            ["tx", "transfer", "nobody", "1", "-s", "//Alice"],
            1,
            "neither an SS58 address nor a key",
        ),
        (["tx", "stake", "add", "a/b", "2", "1", "-s", "//Alice"], 1, "neither an SS58 address"),
        (["tx", "stake", "add", "//Bob", "x", "1"], 2, "`ganglion tx stake add --help`"),
        (["subnet", "status", "1", "1"], 1, "who signs?"),
        (["subnet", "status", "1", "1", "-s", "//A", "--address", "x"], 1, "write HOST:PORT"),
        (["explain-error", "1009"], 1, "as in `explain-error 7 15`"),
        (["walet"], 2, "did you mean `ganglion wallet`?"),
        (["xyzzy"], 2, "lists them all"),
        (["tx", "bogus"], 2, "No such command 'bogus'"),
        (["tx", "transfer"], 2, "Missing argument"),
        (["tx", "transfer", "//Bob", "1", "--bogus"], 2, "--bogus"),
        (["tx", "transfer", "//Bob", "1"], 1, "who signs?"),
        (["tx", "transfer", "//Bob", "one", "-s", "//Alice"], 1, "'one' is not an amount"),
        (["tx", "transfer", "//Bob", "-1", "-s", "//Alice"], 2, "-1"),
        (["tx", "transfer", "//Bob", "0.0000000001", "-s", "//Alice"], 1, "9 decimals"),
        (["tx", "transfer", "5Grw", "1", "-s", "//Alice"], 1, "SS58"),
        (["tx", "transfer", BOB.address[:-1] + "x", "1", "-s", "//Alice"], 1, "typing mistake"),
        (["tx", "transfer", "//Bob", "1", "-s", "../x"], 1, "name"),
        (["tx", "stake", "add", "//Bob", "70000", "1", "-s", "//Alice"], 2, "65535"),
        (["tx", "serve-axon", "1", "localhost", "80", "-s", "//Alice"], 1, "no IP address"),
        (["tx", "call", "A", "b", "c", "-s", "//Alice"], 1, "NAME=VALUE"),
        (["weights", "set", "1", "0:1", "-s", "//Alice"], 1, "UID=WEIGHT"),
        (["weights", "set", "1", "0=1", "0=2", "-s", "//Alice"], 1, "twice"),
        (["weights", "reveal", "1", "0=1", "--salt", "x", "-s", "//Alice"], 1, "no salt"),
        (["key", "inspect", "no such words"], 1, "12, 15"),
        (["key", "generate", "--words", "13"], 1, "not 13"),
        (["explain-error", "99"], 1, "no custom error 99"),
        (["query", "account", "//Alice", "--url", NOWHERE], 1, "is the node running?"),
        (["query", "account", "//Alice", "--url", "host"], 1, "no node address"),
        (["query", "account", "5Grw"], 1, "SS58"),
    ],
)
def test_mistakes_are_one_sentence(run: Run, argv: list[str], code: int, says: str) -> None:
    found, out, err = run(*argv)
    assert (found, out) == (code, "")
    assert says in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", [name for name in OWN if name != "explain-error"])
def test_a_group_alone_shows_its_commands(run: Run, name: str) -> None:
    code, out, err = run(name)
    assert (code, "Commands" in out) == (2, True)
    assert err == f"error: name one of these commands (`ganglion {name} --help` says more)\n"


def test_keys(run: Run) -> None:
    _, out, _ = run("key", "inspect", "//Alice", "--json")
    assert json.loads(out)["ss58Address"] == ALICE.address
    _, out, _ = run("key", "inspect", "-", "--json", stdin=DEV_PHRASE + "//Bob\n")
    assert json.loads(out)["ss58Address"] == BOB.address
    _, out, _ = run("key", "inspect", ALICE.address, "--json")
    assert json.loads(out)["publicKey"] == "0x" + ALICE.public_key.hex()
    _, out, _ = run("key", "generate", "--words", "24", "--ed25519", "--json")
    made = json.loads(out)
    assert len(made["secretPhrase"].split()) == 24
    _, out, _ = run("key", "inspect", made["secretPhrase"], "--ed25519", "--json")
    assert json.loads(out) == made


def test_key_files_that_cannot_be_read_are_named(run: Run, tmp_path: Path) -> None:
    """A folder in a file's place fails for everybody, as forbidden files do for all but root."""
    root = ("--wallet-root", str(tmp_path))
    (tmp_path / "mine" / "coldkey").mkdir(parents=True)
    for argv in (("tx", "transfer", "//Bob", "1", "-s", "mine"), ("wallet", "show", "mine")):
        code, out, err = run(*argv, *root)
        assert (code, out) == (1, "")
        assert err == f"error: cannot read {tmp_path}/mine/coldkey: Is a directory\n"


def test_wallets(run: Run, tmp_path: Path) -> None:
    root = ("--wallet-root", str(tmp_path))
    code, out, _ = run("wallet", "new", "mine/first", "--no-password", "--json", *root)
    assert code == 0
    made = json.loads(out)
    wallet = Wallet.named("mine/first", tmp_path)
    assert wallet.coldkey().phrase == made["coldkey"]["secretPhrase"]
    assert wallet.hotkey().address == made["hotkey"]["ss58Address"]
    assert hotkey_of("mine/first", tmp_path) == made["hotkey"]["ss58Address"]
    assert account_of("mine", tmp_path) == made["coldkey"]["ss58Address"]
    assert "coldkey" not in json.loads(run("wallet", "new", "mine/second", "--json", *root)[1])
    code, _, err = run("wallet", "new", "mine", "--no-password", *root)
    assert (code, "exists" in err) == (1, True)
    _, out, _ = run("wallet", "list", "--json", *root)
    assert [list(w["hotkeys"]) for w in json.loads(out)] == [["first", "second"]]
    _, out, _ = run("wallet", "show", "mine", *root)
    assert made["coldkey"]["ss58Address"] in out
    assert made["coldkey"]["secretPhrase"] not in out
    code, _, err = run("wallet", "show", "other", *root)
    assert (code, "no wallet 'other'" in err) == (1, True)
    run("wallet", "regen", "dev/h", *root, stdin=DEV_PHRASE + "\n")
    assert Wallet.named("dev/h", tmp_path).hotkey().phrase == DEV_PHRASE
    code, _, err = run("wallet", "regen", "dev", *root, stdin=DEV_PHRASE + "\npw\nother\n")
    assert (code, "differ" in err) == (1, True)
    assert not Wallet.named("dev", tmp_path).coldkey_file.exists()
    code, _, err = run("wallet", "regen", "dev", "--no-password", *root)
    assert (code, "nothing was given" in err) == (1, True)


def test_pool_errors_need_no_node(run: Run) -> None:
    assert "SlippageTooHigh" in run("explain-error", "8", "--url", NOWHERE)[1]
    said = "Invalid Transaction: Custom error: 10 (code 1010)"
    assert "HotKeyNotRegistered" in run("explain-error", said, "--url", NOWHERE)[1]
    assert "nonce" in run("explain-error", "Transaction is outdated", "--url", NOWHERE)[1]


def test_codes_of_the_pool_are_explained(run: Run) -> None:
    assert "tip" in run("explain-error", "1014")[1]
    assert set(CODES) == {
        getattr(pool, name)
        for name in ("BAD_FORMAT", "INVALID", "UNKNOWN", "BANNED", "ALREADY_IMPORTED")
    } | {pool.TOO_LOW_PRIORITY, pool.CYCLE, pool.IMMEDIATELY_DROPPED}


def test_starting_is_light() -> None:
    """`ganglion` loads neither typer nor aiohttp nor a package above its own."""
    code = (
        "import sys; from ganglion.cli.main import main; main(['--help']);"
        "print([m for m in sys.modules if m.split('.')[0] in"
        " ('typer','rich','aiohttp','numpy','chain','neurons','subnets','localnet')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.rstrip().endswith("[]")


def test_a_reader_that_leaves_is_no_fault() -> None:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m ganglion.cli --help | true"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_mounted_commands_are_found_by_name(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MOUNTED, "ghost", ("no.such.module", "nothing"))
    code, out, err = run("ghost")
    assert (code, out) == (1, "")
    assert err == "error: `ganglion ghost` is not part of this installation\n"
    assert "ghost" not in usage()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    folder = tmp_path_factory.mktemp("node")
    with NodeProcess("--dev", "--base-path", str(folder), "--sealing", "200") as found:
        yield found


@pytest.fixture
def shown(node: NodeProcess, run: Run) -> Callable[..., Any]:
    """The JSON value that a command prints."""

    def go(*argv: str) -> Any:
        code, out, err = run(*argv, "--url", node.url, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)

    return go


@pytest.mark.localnet
def test_against_a_node(shown: Callable[..., Any], tmp_path: Path) -> None:
    wallet = Wallet.named("mine", tmp_path)
    wallet.save_coldkey(BOB, password=None)
    signer = ("-s", "mine", "--wallet-root", str(tmp_path))
    sent = shown("tx", "transfer", "//Charlie", "1.25", *signer)
    assert "Balances.Transfer" in sent["events"]
    there = shown("query", "account", "mine", "--wallet-root", str(tmp_path))
    assert there["nonce"] == 1
    block = shown("query", "block", sent["block_hash"])
    assert block["calls"][-1]["args"]["value"] == 1_250_000_000
    events = shown("query", "events", "--at", sent["block_hash"])
    assert {"Balances.Transfer"} <= {e["event"] for e in events}
    dry = shown("tx", "transfer", "//Charlie", "1", "--dry-run", *signer)
    assert dry["data"].startswith("0x0503")
    assert shown("query", "account", "//Bob")["nonce"] == 1
    sudo = shown("tx", "call", "System", "remark", "remark=hi", "--sudo", "-s", "//Alice")
    assert "Sudo.Sudid" in sudo["events"]


@pytest.mark.localnet
def test_reading_a_node(shown: Callable[..., Any]) -> None:
    assert shown("query", "constant", "Balances", "ExistentialDeposit") == 500
    assert shown("query", "storage", "System", "Account", ALICE.address)["providers"] == 1
    assert len(shown("query", "map", "System", "Account", "--limit", "3")) == 3
    assert "System" in shown("query", "pallets")
    one = shown("query", "pallets", "Balances")
    assert one["calls"]["transfer_keep_alive"] == "dest, value"
    found = shown("explain-error", "5", "2")
    assert found["name"] == "InsufficientBalance"
    assert shown("explain-error", "NotEnoughStake")["pallet"] == "SubtensorModule"
    assert shown("query", "api", "AccountNonceApi", "account_nonce", BOB.address) >= 0


@pytest.mark.localnet
@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["query", "storage", "Sistem", "Number"], "did you mean System"),
        (["query", "storage", "System", "Account"], "takes 1 keys and 0 were given"),
        (["query", "block", "99999999"], "no block 99999999"),
        (["query", "block", "0x12"], "hash"),
        (["tx", "call", "System", "remark", "x=1", "-s", "//Alice"], "x is unknown|is missing"),
        (
            ["tx", "transfer", "//Bob", "9000000000", "-s", "//Dave"],
            "Token.FundsUnavailable|Insuff",
        ),
        (["explain-error", "NoSuchError"], "has an error 'NoSuchError'"),
        (["explain-error", "NotEnoughStak"], "did you mean NotEnoughStake?"),
        (["subnet", "neurons", "77"], "there is no subnet 77"),
        (["weights", "show", "77"], "there is no subnet 77"),
    ],
)
def test_refusals_of_a_node(node: NodeProcess, run: Run, argv: list[str], says: str) -> None:
    code, out, err = run(*argv, "--url", node.url)
    assert (code, out) == (1, "")
    assert any(part in err for part in says.split("|")), err
    assert err.count("\n") == 1
