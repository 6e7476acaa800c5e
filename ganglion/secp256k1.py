"""Ethereum's keys as far as a chain needs them: keccak-256 and the address behind a signature.

Everything here works on public data, so nothing needs to run in constant time.
Sources: FIPS 202 (with keccak's original padding), SEC 1 and 2, EIP-191.
"""

from __future__ import annotations

P = 2**256 - 2**32 - 977
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)

Point = tuple[int, int] | None
"""Affine coordinates; None is the point at infinity."""

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


def _add(a: Point, b: Point) -> Point:
    if a is None or b is None:
        return b if a is None else a
    if a[0] == b[0]:
        if (a[1] + b[1]) % P == 0:
            return None
        slope = 3 * a[0] * a[0] * pow(2 * a[1], -1, P) % P
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P) % P
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def _multiply(point: Point, k: int) -> Point:
    out: Point = None
    while k:
        if k & 1:
            out = _add(out, point)
        point, k = _add(point, point), k >> 1
    return out


def recover(digest: bytes, signature: bytes) -> tuple[int, int] | None:
    """The public key that signed a 32-byte digest, or None when no key did.

    `signature` is r, s (32 bytes each, big-endian) and the number of the key among the possible
    ones: 0 to 3.
    """
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:64])
    number = signature[64]
    x = r + N * (number >> 1)
    if number > 3 or not 0 < r < N or not 0 < s < N or x >= P:
        return None
    square = (x**3 + 7) % P
    y = pow(square, (P + 1) // 4, P)
    if y * y % P != square:
        return None
    if y & 1 != number & 1:
        y = P - y
    inverse, z = pow(r, -1, N), int.from_bytes(digest)
    return _add(_multiply((x, y), s * inverse % N), _multiply(G, -z * inverse % N))


def address_of(public: tuple[int, int]) -> bytes:
    """The 20-byte Ethereum address of a public key."""
    x, y = public
    return keccak_256(x.to_bytes(32) + y.to_bytes(32))[12:]


def message_hash(message: bytes) -> bytes:
    """What a wallet signs when it is asked to sign a message (EIP-191, personal_sign)."""
    return keccak_256(b"\x19Ethereum Signed Message:\n%d" % len(message) + message)
