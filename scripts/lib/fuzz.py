"""Bad input at an RPC port, frame after frame; see scripts/fuzz.

A frame is a request with wrong types, sizes or depths, a broken request, a batch of such, or
noise. The node must answer each with valid JSON-RPC, never with an internal error, and must not
grow. The tools that make blocks get small numbers only: asking for a million blocks is no bug.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from chain.dev.devnode import DevNode
from ganglion.keys import dev_key

ROOT = Path(__file__).resolve().parents[2]
PROPERTIES = ("tests/fuzz", "tests/rpc/test_rpc_fuzz.py", "tests/attest/test_attest_fuzz.py")
INTERNAL = -32603
GROWTH_MB = 60
"""What a node may grow by under fire: caches fill, and then they stay."""

ADDRESS = dev_key("Alice").address
SCALARS = (None, True, False, 0, 1, -1, 2**31, 2**32, 2**53, 2**63, 2**64, 10**40, 1.5, -1e300, "")
NAMES = ("hash", "count", "call", "raw", "to", "origin", "key", "best", "\u0000", "x")


class Frames:
    """Random frames for a list of methods."""

    def __init__(self, rng: random.Random, methods: list[str]) -> None:
        self._rng, self._methods = rng, methods

    def one(self) -> bytes:
        """The next frame."""
        roll = self._rng.random()
        if roll < 0.02:
            return self._rng.randbytes(self._rng.randrange(200))
        if roll < 0.04:
            depth = self._rng.choice((10, 100, 2000, 20000))
            return b"[" * depth + b"]" * self._rng.choice((0, depth))
        body = json.dumps(self._batch() if roll < 0.08 else self._request()).encode()
        return self._broken(body) if roll > 0.92 else body

    def _batch(self) -> list[Any]:
        return [self._request() for _ in range(self._rng.choice((0, 1, 2, 5, 30)))]

    def _request(self) -> Any:
        method = self._rng.choice(self._methods)
        params = self._params(method)
        request = {"jsonrpc": "2.0", "id": self._rng.randrange(10**6), "method": method}
        if self._rng.random() < 0.1:
            request[self._rng.choice(("jsonrpc", "id", "method"))] = self._value(2)
        if self._rng.random() < 0.95:
            request["params"] = params
        return request

    def _params(self, method: str) -> Any:
        if method.startswith(("dev_", "engine_")):
            return [self._small() for _ in range(self._rng.randrange(4))]
        if self._rng.random() < 0.1:
            return self._value(4)
        return [self._value(3) for _ in range(self._rng.choice((0, 1, 1, 2, 2, 3, 4, 9)))]

    def _small(self) -> Any:
        return self._rng.choice((None, True, -1, 0, 1, 2, "", "0x", self._hex(8), {}, [], ADDRESS))

    def _value(self, depth: int) -> Any:
        rng = self._rng
        roll = rng.random()
        if roll < 0.35 or depth == 0:
            return rng.choice(SCALARS)
        if roll < 0.65:
            return self._hex(rng.choice((0, 1, 4, 32, 33, 80, 3000)))
        if roll < 0.75:
            return rng.choice((ADDRESS, "0x0", "0xzz", "x" * 5000, "\ud83d\ude00", "Core_version"))
        if roll < 0.9:
            return [self._value(depth - 1) for _ in range(rng.randrange(4))]
        return {rng.choice(NAMES): self._value(depth - 1) for _ in range(rng.randrange(4))}

    def _hex(self, size: int) -> str:
        return "0x" + self._rng.randbytes(size).hex()

    def _broken(self, body: bytes) -> bytes:
        out = bytearray(body)
        for _ in range(self._rng.randrange(1, 4)):
            out[self._rng.randrange(len(out))] = self._rng.randrange(256)
        return bytes(out[: self._rng.choice((len(out), len(out) // 2))])


def check(frame: bytes, reply: Any) -> list[int]:
    """The error codes of a reply (0 for a result); AssertionError when it is no proper one."""
    if reply is None:
        return []
    codes = []
    for one in reply if isinstance(reply, list) else [reply]:
        assert isinstance(one, dict), (frame, reply)
        assert one.get("jsonrpc") == "2.0", (frame, one)
        assert ("result" in one) != ("error" in one), (frame, one)
        code = one["error"]["code"] if "error" in one else 0
        assert code != INTERNAL, (frame, one)
        assert code == 0 or isinstance(one["error"]["message"], str), (frame, one)
        codes.append(code)
    return codes


def resident_mb() -> float:
    """Memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def fire(seconds: float, frames: int, seed: int) -> dict[str, Any]:
    """Send random frames for so long, or so many; figures of the run."""
    codes: Counter[int] = Counter()
    with DevNode("manual") as node:
        methods = node.rpc("rpc_methods")["methods"]
        make = Frames(random.Random(seed), methods)
        for _ in range(500):
            check(b"", node.post(make.one()))
        mark, before = node.rpc("dev_snapshot"), resident_mb()
        start, sent = time.monotonic(), 0
        while sent < frames and time.monotonic() - start < seconds:
            frame = make.one()
            codes.update(check(frame, node.post(frame)))
            sent += 1
            if sent % 5000 == 0:  # forget the blocks that the tools have made
                node.rpc("dev_revert", mark)
                mark = node.rpc("dev_snapshot")
        took, after = time.monotonic() - start, resident_mb()
        assert node.rpc("system_chain") == "Development"
    return {
        "seed": seed,
        "frames": sent,
        "per_second": round(sent / max(took, 0.001)),
        "methods": len(methods),
        "codes": dict(codes.most_common()),
        "grew_mb": round(after - before, 1),
    }


def properties(seconds: float, rng: random.Random) -> int:
    """Run the property tests with new seeds until the time is up; how many rounds."""
    end, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        seed = rng.randrange(2**32)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *PROPERTIES]
        environment = {**os.environ, "FUZZ_EXAMPLES": "300"}
        done = subprocess.run(
            [*command, f"--hypothesis-seed={seed}"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            print(done.stdout[-6000:])
            raise SystemExit(f"a property failed with --hypothesis-seed={seed}")
        rounds += 1
    return rounds


def main() -> int:
    """Both halves; exit code 1 when something broke."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz")
    parser.add_argument("seconds", type=float)
    parser.add_argument("seed", type=int, nargs="?", default=None)
    parser.add_argument("--frames", type=int, default=None, help="frames alone, this many")
    args = parser.parse_args()
    seed = random.randrange(2**32) if args.seed is None else args.seed
    share = args.seconds if args.frames else args.seconds / 2
    report = fire(share, args.frames or 10**9, seed)
    if not args.frames:
        report["property_rounds"] = properties(args.seconds / 2, random.Random(seed))
    print(json.dumps(report))
    if report["grew_mb"] > GROWTH_MB:
        print(f"the node grew by {report['grew_mb']} MB, more than {GROWTH_MB} MB")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
