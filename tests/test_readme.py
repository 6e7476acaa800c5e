"""What README.md and the guides name exists: files, scripts, options of our commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chain.options import _parser as node_parser
from neurons.gateway.keys import keys_parser
from neurons.gateway.options import parser as gateway_parser
from neurons.miner.options import parser as miner_parser
from neurons.shards.program import parser as span_parser
from neurons.validator.options import parser as validator_parser

ROOT = Path(__file__).parents[1]
GUIDES = (
    "README.md",
    *(
        f"docs/{name}.md"
        for name in ("running-a-node", "miner", "validator", "gateway", "sharding")
    ),
)
PARSERS = {
    "ganglion node": node_parser,
    "neuron-miner span": span_parser,
    "neuron-miner": miner_parser,
    "neuron-gateway keys": keys_parser,
    "neuron-gateway": gateway_parser,
    "neuron-validator": validator_parser,
}


@pytest.mark.parametrize("guide", GUIDES)
def test_files_that_a_guide_names_exist(guide: str) -> None:
    text = (ROOT / guide).read_text()
    named = set(re.findall(r"`((?:docs|scripts|subnets|chain)/[\w./-]+)", text))
    named |= {f"docs/{name}" for name in re.findall(r"\]\(([\w-]+\.md)\)", text)}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("guide", GUIDES)
def test_options_in_a_guides_commands_exist(guide: str) -> None:
    seen = 0
    for line in (ROOT / guide).read_text().splitlines():
        for command, make in PARSERS.items():
            if line.startswith(command + " "):
                known = {flag for action in make()._actions for flag in action.option_strings}
                assert set(re.findall(r"--[a-z-]+", line.partition("#")[0])) <= known, line
                seen += 1
                break
    assert seen > 0
