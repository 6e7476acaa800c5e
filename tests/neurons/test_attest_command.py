"""`ganglion attest`: judging evidence by hand."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from evidence_others import Amd
from running_miner import serving

import ganglion
from chain.dev.devnode import DevNode
from ganglion.cli.main import main
from ganglion.wire.sealed import KeyRing
from neurons.engine.load import Loaded
from neurons.identity import Identity
from neurons.miner.attest import AttestService, mock_evidence

DATA = b"\5" * 64


def test_evidence_in_a_file_is_judged_and_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    amd, file, roots = Amd(), tmp_path / "evidence.json", tmp_path / "roots"
    roots.mkdir()
    (roots / "amd-ark.pem").write_text(amd.pem())
    file.write_text(json.dumps(amd.evidence(DATA)))
    argv = ["attest", "verify", str(file), "--report-data", DATA.hex(), "--json"]
    assert main([*argv, "--roots", str(roots)]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["confidential"]) == ("sev-snp", True)
    assert found["measurements"]["measurement"] == "ee" * 48
    assert main(argv) == 1
    assert "fetch the ARK certificates" in capsys.readouterr().err
    policy = tmp_path / "policy.toml"
    policy.write_text('kinds = ["tdx-v4"]\nany_software = true\n')
    assert main([*argv, "--roots", str(roots), "--policy", str(policy)]) == 1
    assert "does not accept machines of kind sev-snp" in capsys.readouterr().err
    argv[4] = "00" * 64
    assert main([*argv, "--roots", str(roots)]) == 1
    assert "another miner, key or block" in capsys.readouterr().err
    argv[4] = "00"
    assert main(argv) == 2
    assert "64 bytes" in capsys.readouterr().err


async def test_a_running_miner_is_asked(
    tiny: Loaded, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def behind(block_hash: bytes) -> int | None:
        return 0

    def service(identity: Identity, ring: KeyRing) -> AttestService:
        return AttestService(identity, ring, "mock", mock_evidence, behind)

    with DevNode("instant") as node:
        (seat,) = node.rpc("dev_registerNeurons", 1, 1)
        genesis = bytes.fromhex(node.rpc("chain_getBlockHash", 0)[2:])
        async with serving(tiny, seat["uri"], attest=service, place=(genesis, 1)) as miner:
            where = ["--address", f"127.0.0.1:{miner.target.port}", "--url", node.url]
            argv = ["attest", "miner", "1", str(seat["uid"]), "-s", "//Alice", "--json", *where]
            assert await asyncio.to_thread(main, argv) == 0
            said = json.loads(capsys.readouterr().out)
            assert said["verdicts"][0]["kind"] == "mock"
            assert said["verdicts"][0]["confidential"] is False
            assert miner.app.seals is not None
            key = miner.app.seals.announced().key.key
            assert said["sealing_key"] == "0x" + key.hex()
            policy = tmp_path / "policy.toml"
            policy.write_text('kinds = ["tdx-v4"]\nany_software = true\n')
            assert await asyncio.to_thread(main, [*argv, "--policy", str(policy)]) == 1
            assert "evidence of kind tdx-v4; there is none" in capsys.readouterr().err


def test_the_sdk_offers_the_judge_at_its_top() -> None:
    assert ganglion.Attestor().roots.amd == ()
    assert ganglion.AttestPolicy(frozenset({"sgx"}), any_software=True).max_age_blocks == 50
    assert not ganglion.Verdict("mock", "mock", {}).confidential
