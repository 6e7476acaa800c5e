"""`--prove-weights`, `python -m subnets.zk`: from a validator's records to an auditor's check."""

from __future__ import annotations

import json
import logging
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurons.validator.proving import WeightProver, wanted_prover
from subnets.scoring import Policy, Record, compute_weights
from subnets.zk.__main__ import main
from subnets.zk.bundle import Bundle, Opening, Place
from subnets.zk.rule import ZkError
from subnets.zk.weights import BadProof

PLACE = Place(b"\7" * 32, 2, "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY", 360)
RECORDS = {
    0: Record(average=1 << 31, checks=4),
    3: Record(average=1 << 32, checks=9),
    5: Record(average=1 << 30, debt=3),
    9: Record(average=12_345_678),
}
GOOD = Bundle(PLACE, {0: 16384, 3: 65535}, b"\1\2\3")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("ezkl")
    folder = tmp_path_factory.mktemp("keys")
    assert main(["setup", str(folder), "--uids", "16", "--test-srs"]) == 0
    return folder


async def test_a_validator_proves_its_weights_and_an_auditor_checks_them(
    keys: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    prover = wanted_prover(keys, 2)
    assert prover is not None
    prover.start(PLACE, RECORDS)
    prover.start(PLACE, RECORDS)  # one at a time
    await prover.wait()
    assert prover.made == 1
    public, secret = (keys / "proofs" / f"360.{end}.json" for end in ("proof", "opening"))
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600

    bundle = Bundle.from_json(public.read_bytes())
    assert bundle.place == PLACE
    assert tuple(bundle.weights.items()) == compute_weights(RECORDS.items(), Policy())
    assert main(["verify", str(keys), str(public), "--opening", str(secret)]) == 0
    said = capsys.readouterr()
    assert "that 5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY set at block 360" in said.out
    assert "3 65535\n" in said.out

    value = json.loads(public.read_bytes())
    changes = {"block": 361, "netuid": 3, "hotkey": "5Fake", "genesis": "08" * 32}
    weights = {"weights": value["weights"] | {"3": 65_534}}
    for change in ([name, new] for name, new in (changes | weights).items()):
        forged = tmp_path / "forged.json"
        forged.write_text(json.dumps(value | dict([change])))
        assert main(["verify", str(keys), str(forged)]) == 1
        assert "does not show" in capsys.readouterr().err

    other = tmp_path / "other.json"
    opening = Opening.from_json(secret.read_bytes())
    other.write_bytes(Opening({**opening.scores, 0: 1}, opening.salt).to_json())
    assert main(["verify", str(keys), str(public), "--opening", str(other)]) == 1
    assert "of other scores" in capsys.readouterr().err


def test_keys_made_here_are_called_what_they_are(
    keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["setup", str(keys), "--uids", "16"]) == 0
    assert "for tests only, their maker can prove anything" in capsys.readouterr().err


async def test_missing_keys_are_one_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prover = WeightProver(tmp_path, 2)
    with caplog.at_level(logging.WARNING, "validator"):
        prover.start(PLACE, RECORDS)
        await prover.wait()
    assert prover.made == 0
    assert "run the set-up for this circuit first" in caplog.text


def test_without_ezkl_a_validator_goes_on_without_proofs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert wanted_prover(None, 2) is None
    with caplog.at_level(logging.WARNING, "validator"), monkeypatch.context() as patch:
        patch.setattr(sys, "path", [])
        patch.delitem(sys.modules, "ezkl", raising=False)
        assert wanted_prover(tmp_path, 2) is None
    assert caplog.text.count("\n") == 1
    assert "weights are set without proofs: proofs of weights need ezkl" in caplog.text
    assert not list(tmp_path.iterdir())


def test_files_that_are_no_proof_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absent, large = tmp_path / "absent", tmp_path / "large"
    large.write_bytes(b" " * 40_000)
    for path, sentence in ((absent, "cannot be read"), (large, "more than 32768 bytes")):
        assert main(["verify", str(tmp_path), str(path)]) == 1
        assert sentence in capsys.readouterr().err


def test_a_bundle_travels() -> None:
    assert Bundle.from_json(GOOD.to_json()) == GOOD
    opening = Opening({0: 5, 200: 1 << 32}, bytes(range(16)))
    assert Opening.from_json(opening.to_json()) == opening


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
FIELDS = sorted(json.loads(GOOD.to_json()))


@given(
    st.sampled_from(FIELDS), JSON | st.dictionaries(st.sampled_from(["0", "00", "²", "-1"]), JSON)
)
def test_strange_bundles_are_refused_or_read_whole(field: str, value: object) -> None:
    data = json.dumps(json.loads(GOOD.to_json()) | {field: value}).encode()
    try:
        bundle = Bundle.from_json(data)
    except BadProof:
        return
    assert Bundle.from_json(bundle.to_json()) == bundle


@given(
    st.binary(max_size=60) | st.sampled_from([b"[" * 30_000, b"{}", b"[]", b"\xff", b"9" * 9999])
)
def test_strange_bytes_are_no_bundle(data: bytes) -> None:
    for read in (Bundle.from_json, Opening.from_json):
        with pytest.raises(ZkError):
            read(data)
