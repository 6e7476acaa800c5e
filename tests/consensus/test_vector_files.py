"""Every recorded file says where it comes from, and together they stay small."""

import re
from pathlib import Path

VECTORS = Path(__file__).parents[1] / "vectors"
LISTED = re.findall(
    r"^\| ([\w.-]+\.\w+) \|(?: (\d+))?", (VECTORS / "PROVENANCE.md").read_text(), re.MULTILINE
)


def test_every_file_has_its_provenance():
    files = {path.name for path in VECTORS.iterdir()} - {"PROVENANCE.md"}
    assert {name for name, _ in LISTED} == files


def test_the_counts_are_right():
    counted = [(name, int(cases)) for name, cases in LISTED if cases]
    assert len(counted) == 20
    for name, cases in counted:
        assert len((VECTORS / name).read_text().splitlines()) == cases, name


def test_together_they_stay_under_7_mb():
    assert sum(path.stat().st_size for path in VECTORS.iterdir()) < 7_000_000
