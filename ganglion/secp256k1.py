"""Keys of Bitcoin's and Ethereum's curve as far as a chain needs them: who made a signature.

Everything here works on public data, so nothing needs to run in constant time.
Sources: FIPS 202 (with keccak's original padding), SEC 1 and 2, EIP-191.
"""

from __future__ import annotations

from coincurve import PublicKey

Point = tuple[int, int]
"""A public key's affine coordinates."""

_RATE = 136
_MASK = (1 << 64) - 1


def _round_constants() -> list[int]:
    """The 24 constants, from the linear feedback register that defines them."""
    out, register = [], 1
    for _ in range(24):
        constant = 0
        for j in range(7):
            if register & 1:
                constant |= 1 << ((1 << j) - 1)
            register = (register << 1) ^ (0x171 if register & 0x80 else 0)
        out.append(constant)
    return out


_CONSTANTS = _round_constants()


def keccak_256(data: bytes) -> bytes:
    """Keccak-256 as Ethereum has it: SHA-3 before its padding changed."""
    padded = bytearray(data) + b"\x01" + bytes(-(len(data) + 1) % _RATE)
    padded[-1] |= 0x80
    lanes = [0] * 25
    for at in range(0, len(padded), _RATE):
        for i in range(_RATE // 8):
            lanes[i] ^= int.from_bytes(padded[at + 8 * i : at + 8 * i + 8], "little")
        _permute(lanes)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])


def _turn(lane: int, by: int) -> int:
    return ((lane << by) | (lane >> (64 - by))) & _MASK


def _permute(a: list[int]) -> None:
    """Keccak-f[1600]; lane (x, y) is a[x + 5 y]."""
    for constant in _CONSTANTS:
        c = [a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20] for x in range(5)]
        d = [c[x - 1] ^ _turn(c[(x + 1) % 5], 1) for x in range(5)]
        a[:] = [lane ^ d[i % 5] for i, lane in enumerate(a)]
        x, y, current = 1, 0, a[1]
        for t in range(24):
            x, y = y, (2 * x + 3 * y) % 5
            current, a[x + 5 * y] = a[x + 5 * y], _turn(current, (t + 1) * (t + 2) // 2 % 64)
        for row in range(0, 25, 5):
            b = a[row : row + 5]
            for x in range(5):
                a[row + x] = b[x] ^ (~b[(x + 1) % 5] & _MASK & b[(x + 2) % 5])
        a[0] ^= constant


def recover(digest: bytes, signature: bytes) -> Point | None:
    """The public key that signed a 32-byte digest, or None when no key did.

    `signature` is r, s (32 bytes each, big-endian) and the number of the key among the possible
    ones: 0 to 3.
    """
    try:
        return PublicKey.from_signature_and_message(signature, digest, hasher=None).point()
    except ValueError:
        return None


def compressed(public: Point) -> bytes:
    """A public key in 33 bytes: its x, led by 2 or 3 for an even or odd y."""
    x, y = public
    return bytes((2 + (y & 1),)) + x.to_bytes(32)


def address_of(public: Point) -> bytes:
    """The 20-byte Ethereum address of a public key."""
    x, y = public
    return keccak_256(x.to_bytes(32) + y.to_bytes(32))[12:]


def message_hash(message: bytes) -> bytes:
    """What a wallet signs when it is asked to sign a message (EIP-191, personal_sign)."""
    return keccak_256(b"\x19Ethereum Signed Message:\n%d" % len(message) + message)
