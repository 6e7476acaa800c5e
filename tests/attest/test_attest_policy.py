"""Policies: what a file may say, and what it must not leave out."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganglion.attest.policy import AttestPolicy, BadPolicy

GOOD = """
kinds = ["tdx-v4", "sev-snp"]
statuses = ["UpToDate", "SWHardeningNeeded"]
gpu = true
max_age_blocks = 30

[minimum_tcb]
bootloader = 4
tee = 0
snp = 22
microcode = 213

[[measurements]]
kind = "tdx-v4"
mrtd = "0xAABB"

[[measurements]]
kind = "sev-snp"
measurement = "ccdd"

[[measurements]]
kind = "nvidia-eat"
hwmodel = "GH100 A01"
"""


def test_a_policy_is_read(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(GOOD)
    made = AttestPolicy.load(file)
    assert made.kinds == {"tdx-v4", "sev-snp"}
    assert made.measurements[0] == {"kind": "tdx-v4", "mrtd": "aabb"}
    assert made.measurements[2]["hwmodel"] == "GH100 A01"
    assert (made.gpu, made.max_age_blocks, made.minimum_tcb["snp"]) == (True, 30, 22)


def test_what_is_wrong_is_said_with_the_file(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    with pytest.raises(BadPolicy, match="cannot be read"):
        AttestPolicy.load(file)
    file.write_text("kinds = [")
    with pytest.raises(BadPolicy, match="policy.toml cannot be read"):
        AttestPolicy.load(file)
    file.write_text('kinds = ["tdx-v4"]')
    with pytest.raises(BadPolicy, match=r"policy.toml: .* which programs of kind tdx-v4"):
        AttestPolicy.load(file)


TDX = [{"kind": "tdx-v4", "mrtd": "aa"}]
WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "accepts nothing"),
    ({"kinds": ["mock"]}, "no kind of machine"),
    ({"kinds": ["nvidia-eat"]}, "no kind of machine"),
    ({"kinds": "tdx-v4"}, "list of names"),
    ({"kind": ["tdx-v4"]}, "unknown setting 'kind'"),
    ({"kinds": ["sgx"], "measurements": TDX}, "which programs of kind sgx"),
    ({"kinds": ["tdx-v4"], "measurements": TDX, "max_age_blocks": 361}, "from 1 to 360"),
    ({"kinds": ["tdx-v4"], "measurements": TDX, "max_age_blocks": True}, "whole number"),
    ({"kinds": ["tdx-v4"], "measurements": TDX, "gpu": "yes"}, "true or false"),
    ({"kinds": ["tdx-v4"], "measurements": [{"kind": "tdx-v4"}]}, "names no measurement"),
    ({"kinds": ["tdx-v4"], "measurements": [{"kind": "tdx-v4", "mrtd": 7}]}, "must be text"),
    ({"kinds": ["tdx-v4"], "measurements": [{"kind": "tdx-v4", "mrtd": "xy"}]}, "must be hex"),
    ({"kinds": ["tdx-v4"], "measurements": [{"mrtd": "aa"}]}, "names its kind"),
    ({"kinds": ["sev-snp"], "any_software": True}, "give .minimum_tcb."),
    ({"kinds": ["sev-snp"], "any_software": True, "minimum_tcb": {"snp": 300}}, "0 to 255"),
]


@pytest.mark.parametrize(("given_", "said"), WRONG)
def test_a_policy_that_would_accept_anything_is_refused(given_: dict[str, Any], said: str) -> None:
    with pytest.raises(BadPolicy, match=said):
        AttestPolicy.of(given_)


NAMES = st.sampled_from(
    ["kinds", "statuses", "gpu", "measurements", "minimum_tcb", "max_age_blocks", "x", "kind"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("tdx-v4"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(NAMES, VALUES))
def test_any_mapping_is_a_policy_or_a_sentence(given_: dict[str, Any]) -> None:
    with suppress(BadPolicy):
        AttestPolicy.of(given_)
