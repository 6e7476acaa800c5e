"""A circuit's folder: graph, settings, keys; and the prover behind it. EZKL is imported when used.

The numbers that a proof starts from (the SRS, `kzgK.srs`) must come from a public ceremony:
whoever made them alone can prove anything. `make_test_srs` makes them here, for tests only, and
leaves a mark that `Circuit.for_tests` shows.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganglion.hashing import blake2_128
from subnets.zk.graph import MISSING
from subnets.zk.rule import ZkError

FIELD = 0x30644E72E131A029B85045B68181585D2833E84879B97091_43E1F593F0000001
"""Order of the scalar field of BN254: what an element is smaller than."""

VERSION = "23.0.5"
SPARE_ROWS = 32
"""Rows that the prover fills with noise, with room to spare."""

MAX_LOGROWS = 20
MARK = ".for-tests-only"


def load_ezkl() -> Any:
    """The module. ZkError, with the way out, when it is not installed."""
    try:
        import ezkl
    except ImportError as e:
        raise ZkError(MISSING.format("ezkl")) from e
    return ezkl


def element(value: int) -> str:
    """A field element in EZKL's spelling: 32 bytes, the lowest first, in hex."""
    return (value % FIELD).to_bytes(32, "little").hex()


def poseidon(values: Sequence[int]) -> bytes:
    """The hash that a circuit computes over an input vector: 32 bytes, the lowest first."""
    return bytes.fromhex(load_ezkl().poseidon_hash([element(v) for v in values])[0])


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a graph is put into a circuit: scale (fraction bits), what is hidden, comparisons."""

    scale: int
    inputs: str
    base: int
    legs: int

    def arguments(self, logrows: int) -> Any:
        """EZKL's run arguments."""
        args = load_ezkl().PyRunArgs()
        args.input_scale = args.param_scale = self.scale
        args.input_visibility, args.output_visibility = self.inputs, "public"
        args.param_visibility = "fixed"
        args.decomp_base, args.decomp_legs = self.base, self.legs
        args.logrows = logrows
        return args


def make_test_srs(folder: Path, logrows: int) -> Path:
    """A structured reference string made on this machine: FOR TESTS ONLY, and marked as such."""
    path = srs_path(folder, logrows)
    folder.mkdir(parents=True, exist_ok=True)
    ezkl = load_ezkl()
    path.with_name(path.name + MARK).touch()
    part = path.with_name(path.name + ".part")
    ezkl.gen_srs(str(part), logrows)
    part.replace(path)
    return path


def srs_path(folder: Path, logrows: int) -> Path:
    """Where the structured reference string of 2^logrows rows is looked for."""
    return folder / f"kzg{logrows}.srs"


class Circuit:
    """One circuit in `folder`, its SRS in the folder above."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _file(self, name: str) -> str:
        return str(self.folder / name)

    @property
    def logrows(self) -> int:
        """The circuit has 2^logrows rows."""
        try:
            settings = json.loads((self.folder / "settings.json").read_text())
            return int(settings["run_args"]["logrows"])
        except FileNotFoundError:
            raise self._absent("settings.json") from None
        except (ValueError, KeyError, TypeError) as e:
            raise ZkError(
                f"{self._file('settings.json')} is damaged: delete the folder and set up again"
            ) from e

    @property
    def srs(self) -> Path:
        """The SRS file; ZkError with the way out if it is not there."""
        path = srs_path(self.folder.parent, self.logrows)
        if not path.is_file():
            raise ZkError(
                f"{path} is missing: put the ceremony's file of 2^{self.logrows} rows there, "
                "or make one for tests with --test-srs"
            )
        return path

    @property
    def for_tests(self) -> bool:
        """Whether the SRS was made here, so that its maker could prove anything."""
        return self.srs.with_name(self.srs.name + MARK).exists()

    @property
    def has_keys(self) -> bool:
        """Whether the keys are made. The verifying key is written last."""
        return (self.folder / "vk").is_file() and (self.folder / "pk").is_file()

    def _absent(self, name: str) -> ZkError:
        return ZkError(f"{self._file(name)} is missing: run the set-up for this circuit first")

    def _need(self, *names: str) -> None:
        for name in names:
            if not (self.folder / name).is_file():
                raise self._absent(name)

    def key_id(self) -> bytes:
        """16 bytes that name the verifying key."""
        self._need("vk")
        return blake2_128((self.folder / "vk").read_bytes())

    def compile(self, graph: bytes, recipe: Recipe) -> int:
        """Write the circuit with the fewest rows that hold it; log2 of them."""
        ezkl = load_ezkl()
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "model.onnx").write_bytes(graph)
        model, settings = self._file("model.onnx"), self._file("settings.json")
        least = (recipe.base + SPARE_ROWS).bit_length()
        for logrows in range(least, MAX_LOGROWS + 1):
            _ask("settings", ezkl.gen_settings, model, settings, recipe.arguments(logrows))
            rows = json.loads(Path(settings).read_text())["num_rows"]
            if rows + SPARE_ROWS <= 1 << logrows:
                _ask("compile", ezkl.compile_circuit, model, self._file("circuit.bin"), settings)
                return logrows
        raise ZkError(f"the circuit needs more than 2^{MAX_LOGROWS} rows: make it smaller")

    def make_keys(self) -> None:
        """Make the proving and the verifying key; the same SRS and circuit give the same keys."""
        self._need("circuit.bin")
        made = [self.folder / "vk.part", self.folder / "pk.part"]
        _ask("setup", load_ezkl().setup, self._file("circuit.bin"), *map(str, made), str(self.srs))
        for path in reversed(made):  # only whole keys get their name, the verifying key last
            path.replace(path.with_suffix(""))

    def run(self, inputs: Sequence[Sequence[int | float]], folder: Path) -> dict[str, Any]:
        """Run the circuit on inputs without proving; the witness goes to `folder`.

        Whole numbers are passed as field elements, so nothing is rounded.
        """
        self._need("circuit.bin")
        data = [[element(v) if isinstance(v, int) else v for v in vector] for vector in inputs]
        (folder / "input.json").write_text(json.dumps({"input_data": data}))
        witness = str(folder / "witness.json")
        made = _ask(
            "witness",
            load_ezkl().gen_witness,
            str(folder / "input.json"),
            self._file("circuit.bin"),
            witness,
        )
        return dict(made)

    def prove(self, folder: Path) -> tuple[bytes, list[str]]:
        """Prove the witness in `folder`: the proof, and its public elements."""
        self._need("circuit.bin", "pk")
        out = folder / "proof.json"
        srs = str(self.srs)
        files = (str(folder / "witness.json"), self._file("circuit.bin"), self._file("pk"))
        _ask("prove", load_ezkl().prove, *files, str(out), srs)
        made = json.loads(out.read_text())
        return bytes(made["proof"]), [text for row in made["instances"] for text in row]

    def verify(self, proof: bytes, public: Sequence[str]) -> bool:
        """Whether a proof shows these public elements. Nothing of a stranger's but `proof` and
        the elements, which the caller has bounded, reaches the prover's library."""
        self._need("settings.json", "vk")
        ezkl, srs = load_ezkl(), str(self.srs)
        body = {
            "protocol": None,
            "instances": [list(public)],
            "proof": list(proof),
            "hex_proof": "0x" + proof.hex(),
            "split": None,
            "pretty_public_inputs": None,
            "timestamp": None,
            "version": VERSION,
        }
        with tempfile.TemporaryDirectory(prefix="ganglion-zk-") as folder:
            path = Path(folder) / "proof.json"
            path.write_text(json.dumps(body))
            try:
                return bool(
                    ezkl.verify(str(path), self._file("settings.json"), self._file("vk"), srs)
                )
            except RuntimeError:  # how EZKL says that a proof is not one
                return False


def _ask(step: str, work: Any, *args: Any) -> Any:
    """Call EZKL; its error as one sentence."""
    try:
        return work(*args)
    except RuntimeError as e:
        raise ZkError(f"EZKL could not {step}: {str(e).splitlines()[0]}") from e
