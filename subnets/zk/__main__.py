"""`python -m subnets.zk`: make keys, prove weights, check a published proof."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ganglion.errors import GanglionError
from subnets.zk.bundle import MAX_BYTES, Bundle, Opening, Place, make, read
from subnets.zk.circuit import Circuit
from subnets.zk.rule import shape_for, weights_of
from subnets.zk.weights import set_up

WARNING = (
    "these keys rest on numbers that were made on this machine: for tests only, "
    "their maker can prove anything"
)
NICENESS = 10


def say(text: str) -> None:
    """A line for whoever called."""
    sys.stdout.write(text + "\n")


def warn(circuit: Circuit) -> None:
    """Say so when keys are for tests."""
    if circuit.for_tests:
        sys.stderr.write(f"warning: {WARNING}\n")


def command_setup(options: argparse.Namespace) -> int:
    """Keys for so many uids."""
    shape = shape_for([options.uids - 1], options.exponent)
    circuit = set_up(options.folder, shape, test_srs=options.test_srs)
    warn(circuit)
    say(
        f"{circuit.folder}: {shape.slots} uids, exponent {shape.exponent}, 2^{circuit.logrows} rows"
    )
    return 0


def command_prove(options: argparse.Namespace) -> int:
    """Read a job from standard input; write OUT.proof.json and OUT.opening.json."""
    os.nice(NICENESS)  # whoever is served meanwhile goes first
    job = json.loads(sys.stdin.buffer.read(MAX_BYTES))
    place = Place(bytes.fromhex(job["genesis"]), job["netuid"], job["hotkey"], job["block"])
    scores = {int(uid): score for uid, score in job["scores"].items()}
    weights = weights_of(scores, job["exponent"])
    bundle, opening = make(options.folder, place, scores, weights, job["exponent"])
    secret = options.out.with_name(options.out.name + ".opening.json")
    secret.touch(mode=0o600)
    secret.write_bytes(opening.to_json())
    public = options.out.with_name(options.out.name + ".proof.json")
    part = public.with_suffix(".part")
    part.write_bytes(bundle.to_json())
    os.replace(part, public)
    say(str(public))
    return 0


def command_verify(options: argparse.Namespace) -> int:
    """Check a published proof, and an opening if there is one."""
    bundle = Bundle.from_json(read(options.proof))
    proof = bundle.check(options.folder)
    place = bundle.place
    say(
        f"shown: the weights of {len(bundle.weights)} uids that {place.hotkey} set at block "
        f"{place.block} on subnet {place.netuid} follow from the scores behind "
        f"{proof.commitment.hex()} (exponent {proof.shape.exponent})"
    )
    for uid, weight in sorted(bundle.weights.items()):
        say(f"{uid} {weight}")
    if options.opening is not None:
        if not Opening.from_json(read(options.opening)).opens(proof):
            sys.stderr.write("the opening is of other scores than those of the proof\n")
            return 1
        say("the opening holds the scores that were committed to")
    return 0


def parser() -> argparse.ArgumentParser:
    """The commands."""
    top = argparse.ArgumentParser("python -m subnets.zk", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    setup = commands.add_parser("setup", help="make the keys of a circuit")
    setup.add_argument("folder", type=Path, help="folder of keys, with the ceremony's kzgK.srs")
    setup.add_argument("--uids", type=int, default=16, help="uids of the subnet, up to 256")
    setup.add_argument("--exponent", type=int, default=2, help="the validator's --exponent")
    setup.add_argument("--test-srs", action="store_true", help=f"make kzgK.srs: {WARNING}")
    setup.set_defaults(work=command_setup)
    proves = commands.add_parser("prove", help="prove what a job on standard input says")
    proves.add_argument("folder", type=Path)
    proves.add_argument("out", type=Path, help="name of the two files, without their endings")
    proves.set_defaults(work=command_prove)
    verifies = commands.add_parser("verify", help="check a published proof")
    verifies.add_argument("folder", type=Path)
    verifies.add_argument("proof", type=Path, help="a .proof.json")
    verifies.add_argument("--opening", type=Path, help="the validator's .opening.json")
    verifies.set_defaults(work=command_verify)
    return top


def main(argv: Sequence[str]) -> int:
    """Run a command; the exit code."""
    options = parser().parse_args(argv)
    try:
        return int(options.work(options))
    except GanglionError as e:
        sys.stderr.write(f"{e}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
