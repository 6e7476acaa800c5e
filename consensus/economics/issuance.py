"""How much is minted: block emission halves as issuance approaches 21 million.

The same curve serves TAO and every subnet's alpha.

Upstream: pallets/subtensor/src/coinbase/block_emission.rs
"""

from __future__ import annotations

TOTAL_SUPPLY = 21_000_000_000_000_000
"""21 million coins in rao."""
BASE_EMISSION = 1_000_000_000
"""One coin a block before the first halving."""


def block_emission(issuance: int) -> int:
    """Emission of one block at an issuance: 10^9 halved at 1/2, 3/4, 7/8 ... of the supply.

    The number of halvings is floor(log2(1 / (1 - issuance/supply))) on 32-bit fractions.
    """
    if issuance >= TOTAL_SUPPLY:
        return 0
    unissued = (1 << 32) - (issuance << 32) // TOTAL_SUPPLY
    return BASE_EMISSION >> ((1 << 32) // unissued).bit_length() - 1


def minted(emission: int, currency_issuance: int) -> int:
    """What is really minted of an emission: never past the total supply of the currency."""
    return min(emission, max(TOTAL_SUPPLY - currency_issuance, 0))
