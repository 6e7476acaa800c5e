"""Amounts at the edge: exact decimal in, integer base units inside, units that cannot mix.

Inside the package amounts are plain integers of rao (10^-9). People write TAO and read TAO;
this is where the two meet. A subnet's own token (alpha) is a different unit in every subnet, so
adding TAO to alpha, or alpha of two subnets, raises instead of giving a number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from ganglion.errors import AmountError, UnitMismatch
from ganglion.units import RAO_PER_TAO, ROOT_NETUID, Alpha, Rao

DECIMALS = 9
MAX_AMOUNT = 2**64 - 1

_NUMBER = re.compile(r"(?P<whole>[0-9]+)(?:\.(?P<part>[0-9]+))?|\.(?P<only>[0-9]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Balance:
    """`rao` base units of TAO (`netuid` 0) or of the token of subnet `netuid`.

    Sums and comparisons need the same unit and raise UnitMismatch otherwise; results below zero
    or above 2**64 - 1 raise AmountError.
    """

    rao: int
    netuid: int = ROOT_NETUID

    def __post_init__(self) -> None:
        if type(self.rao) is not int or not 0 <= self.rao <= MAX_AMOUNT:
            raise AmountError(f"{self.rao!r} base units: amounts are whole, from 0 to 2^64 - 1")

    @classmethod
    def tao(cls, amount: str | int | Decimal) -> Balance:
        """An amount of TAO from exact text such as "1.5"; raises AmountError."""
        return cls(parse_amount(amount))

    @classmethod
    def alpha(cls, amount: str | int | Decimal, netuid: int) -> Balance:
        """An amount of the token of a subnet from exact text; raises AmountError."""
        return cls(parse_amount(amount), netuid)

    @property
    def unit(self) -> str:
        """`TAO`, or `alpha of subnet N`."""
        return "TAO" if self.netuid == ROOT_NETUID else f"alpha of subnet {self.netuid}"

    @property
    def decimal(self) -> Decimal:
        """The amount in whole tokens, exact."""
        return Decimal(self.rao).scaleb(-DECIMALS)

    def as_rao(self) -> Rao:
        """The amount as rao; raises UnitMismatch for alpha."""
        if self.netuid != ROOT_NETUID:
            raise UnitMismatch(f"{self} is not an amount of TAO")
        return Rao(self.rao)

    def as_alpha(self, netuid: int) -> Alpha:
        """The amount in the token of `netuid`; raises UnitMismatch for any other unit."""
        if self.netuid != netuid or netuid == ROOT_NETUID:
            raise UnitMismatch(f"{self} is not an amount of alpha of subnet {netuid}")
        return Alpha(self.rao)

    def __add__(self, other: Balance) -> Balance:
        return Balance(self.rao + self._same(other), self.netuid)

    def __sub__(self, other: Balance) -> Balance:
        return Balance(self.rao - self._same(other), self.netuid)

    def __mul__(self, times: int) -> Balance:
        if type(times) is not int:
            raise UnitMismatch(f"an amount can be multiplied by a whole number, not {times!r}")
        return Balance(self.rao * times, self.netuid)

    __rmul__ = __mul__

    def __lt__(self, other: Balance) -> bool:
        return self.rao < self._same(other)

    def __le__(self, other: Balance) -> bool:
        return self.rao <= self._same(other)

    def __gt__(self, other: Balance) -> bool:
        return self.rao > self._same(other)

    def __ge__(self, other: Balance) -> bool:
        return self.rao >= self._same(other)

    def __bool__(self) -> bool:
        return self.rao != 0

    def __str__(self) -> str:
        return f"{format_amount(self.rao)} {self.unit}"

    def _same(self, other: Balance) -> int:
        if not isinstance(other, Balance):
            raise UnitMismatch(f"{self} and {other!r}: write the other amount as a Balance too")
        if other.netuid != self.netuid:
            raise UnitMismatch(f"{self} and {other} are different tokens")
        return other.rao


def parse_amount(amount: str | int | Decimal) -> int:
    """Base units of a decimal amount of whole tokens; raises AmountError.

    Text may group digits with underscores. Floats are refused: 0.1 is not a tenth.
    """
    if isinstance(amount, bool | float):
        raise AmountError(f"write the amount as text, '{amount}': a float is not exact")
    text = format(amount, "f") if isinstance(amount, Decimal) else str(amount).strip()
    found = _NUMBER.fullmatch(text.replace("_", ""))
    if found is None or len(text) > 60:
        raise AmountError(f"{_shown(text)} is not an amount: write digits, as in 1.25")
    part = (found["part"] or found["only"] or "").rstrip("0")
    if len(part) > DECIMALS:
        raise AmountError(f"{_shown(text)} has more than {DECIMALS} decimals: rao are indivisible")
    rao = int(found["whole"] or 0) * RAO_PER_TAO + int(part.ljust(DECIMALS, "0"))
    if rao > MAX_AMOUNT:
        raise AmountError(f"{_shown(text)} is more than the chain can hold")
    return rao


def format_amount(rao: int) -> str:
    """Base units as an exact decimal of whole tokens, without trailing zeros."""
    whole, part = divmod(rao, RAO_PER_TAO)
    return f"{whole}.{part:0{DECIMALS}d}".rstrip("0").rstrip(".") if part else str(whole)


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
