"""The metadata belongs to its spec version: clients keep what they read under that number."""

import json
import os
from pathlib import Path

import pytest

from chain.runtime.metadata import metadata_bytes
from chain.runtime_spec import SPEC_VERSION, make_runtime
from ganglion.hashing import blake2_256

KEPT = Path(__file__).parents[1] / "vectors/metadata-hash.json"


def test_metadata_and_spec_version_change_together() -> None:
    runtime = make_runtime()
    now = {"spec_version": SPEC_VERSION} | {
        f"V{version}": blake2_256(metadata_bytes(runtime, version)).hex() for version in (14, 15)
    }
    kept = json.loads(KEPT.read_text())
    if os.environ.get("GANGLION_FREEZE") and kept["spec_version"] < SPEC_VERSION:
        KEPT.write_text(json.dumps(now, indent=1) + "\n")
    elif now != kept:
        pytest.fail(
            f"the metadata is not that of spec version {kept['spec_version']}: take the change "
            "back, or raise SPEC_VERSION in chain/runtime_spec.py and run this test once with "
            "GANGLION_FREEZE=1"
        )
