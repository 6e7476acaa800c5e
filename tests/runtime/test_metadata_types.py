"""What clients expect of the metadata's type table beyond its being decodable."""

from __future__ import annotations

from typing import Any

import pytest

from chain.runtime.metadata import metadata_bytes
from chain.runtime_spec import make_runtime
from ganglion.metadata import decode_metadata


@pytest.mark.parametrize("version", [14, 15])
def test_the_first_type_is_the_account(version: int) -> None:
    """SDK 9 and 10 encode an address only where they meet type 0."""
    types = decode_metadata(metadata_bytes(make_runtime(), version)).types
    assert "::".join(types[0].path) == "sp_core::crypto::AccountId32"


def value_path(types: Any, number: int) -> str:
    """Path of a storage value's type; of a tuple's first part where it is one."""
    definition = types[number].definition
    parts = getattr(definition, "types", None)
    return "::".join(types[parts[0] if parts else number].path)


@pytest.mark.parametrize(
    ("pallet", "name", "path"),
    [
        ("Proxy", "Proxies", "bounded_collections::bounded_vec::BoundedVec"),
        ("Proxy", "Announcements", "bounded_collections::bounded_vec::BoundedVec"),
        ("Balances", "Locks", "bounded_collections::weak_bounded_vec::WeakBoundedVec"),
        ("Grandpa", "Authorities", "bounded_collections::weak_bounded_vec::WeakBoundedVec"),
        ("Commitments", "TimelockedIndex", "BTreeSet"),
        (
            "SubtensorModule",
            "ColdkeyCollateralHotkeys",
            "bounded_collections::bounded_vec::BoundedVec",
        ),
    ],
)
def test_collections_keep_upstreams_wrapper(pallet: str, name: str, path: str) -> None:
    """SDK 10 reads proxies one level deeper than a plain Vec would be."""
    metadata = decode_metadata(metadata_bytes(make_runtime(), 15))
    assert value_path(metadata.types, metadata.pallets[pallet].storage[name].value_type) == path
