"""docs/rpc.md is what the declarations say."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_reference_is_fresh(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts" / "lib"))
    import rpc_docs

    assert (ROOT / "docs" / "rpc.md").read_text() == rpc_docs.render(), "run scripts/rpc-docs"


def test_every_method_says_what_it_does(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts" / "lib"))
    import rpc_docs

    for _, _, tables in rpc_docs.SECTIONS:
        for table in tables:
            for method in table.methods.values():
                assert method.doc.strip(), method.name


def test_parameters_are_those_of_the_signature():
    lines = (ROOT / "docs" / "rpc.md").read_text().splitlines()
    paged = next(line for line in lines if line.startswith("| `state_getKeysPaged`"))
    given = "`prefix: hex`, `count: number`, `startKey?: hex`, `hash?: hash`"
    assert paged.split("|")[2].strip() == given
    neuron = next(line for line in lines if line.startswith("| `neuronInfo_getNeuron`"))
    assert neuron.split("|")[2].strip() == "`netuid: number`, `uid: number`, `at?: hash`"
