"""What clients expect of the metadata's type table beyond its being decodable."""

from __future__ import annotations

import pytest

from chain.runtime.metadata import metadata_bytes
from chain.runtime_spec import make_runtime
from ganglion.metadata import decode_metadata


@pytest.mark.parametrize("version", [14, 15])
def test_the_first_type_is_the_account(version: int) -> None:
    """SDK 9 and 10 encode an address only where they meet type 0."""
    types = decode_metadata(metadata_bytes(make_runtime(), version)).types
    assert "::".join(types[0].path) == "sp_core::crypto::AccountId32"
