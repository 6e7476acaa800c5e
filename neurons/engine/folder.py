"""Model folders: the safetensors format read with numpy alone, and the hashes that name a model.

The format is a little-endian u64 length, that many bytes of JSON (name -> dtype, shape, byte
range) and the raw values.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from neurons.engine.base import EngineError, Floats

MAX_HEADER = 100_000_000
TINY = Path(__file__).resolve().parent.parent / "models" / "tiny"
"""The model that ships with this package."""


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a model folder; EngineError names the file that is missing or broken."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as e:
        raise EngineError(f"{path} is missing: is {path.parent} a model folder?") from e
    except (OSError, RecursionError, ValueError) as e:
        raise EngineError(f"{path} is no readable JSON file: {e}") from e
    if not isinstance(value, dict):
        raise EngineError(f"{path} holds no JSON object")
    return value


def weight_files(folder: Path) -> list[Path]:
    """The folder's safetensors files in order of name; EngineError if it has none."""
    found = sorted(folder.glob("*.safetensors"))
    if not found:
        raise EngineError(f"{folder} holds no .safetensors file, so there is no model to load")
    return found


def _values(raw: bytes, dtype: str) -> Floats:
    match dtype:
        case "BF16":
            halves = np.frombuffer(raw, np.dtype("<u2")).astype(np.uint32) << 16
            return halves.view(np.float32).astype(np.float64)
        case "F16" | "F32" | "F64":
            return np.frombuffer(raw, np.dtype(f"<f{int(dtype[1:]) // 8}")).astype(np.float64)
    raise EngineError(f"tensors of type {dtype} are not supported here, only BF16, F16, F32, F64")


def everything(name: str) -> bool:
    """The choice of all tensors."""
    return True


def read_tensors(
    path: Path, wanted: Callable[[str], bool] = everything
) -> Iterator[tuple[str, Floats]]:
    """The wanted tensors of one file as float64; EngineError when it is not what it claims.

    Of the others nothing is read.
    """
    whole = path.stat().st_size
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if whole < 8 or size > min(whole - 8, MAX_HEADER):
            raise EngineError(f"{path} is no safetensors file or was cut short: fetch it again")
        try:
            header = json.loads(file.read(size))
            entries = [
                (n, e["dtype"], e["shape"], *e["data_offsets"])
                for n, e in header.items()
                if n != "__metadata__"
            ]
            for name, dtype, shape, start, end in entries:
                if not 0 <= start <= end <= whole - 8 - size:
                    raise EngineError(
                        f"{path}: tensor {name} lies outside the file: fetch it again"
                    )
                if wanted(name):
                    file.seek(8 + size + start)
                    yield name, _values(file.read(end - start), dtype).reshape(shape)
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as e:
            raise EngineError(f"{path}: the safetensors header is malformed ({e})") from e


def read_model(folder: Path, wanted: Callable[[str], bool] = everything) -> dict[str, Floats]:
    """The wanted tensors of a model folder by name, as float64."""
    return {n: t for path in weight_files(folder) for n, t in read_tensors(path, wanted)}


def file_digest(path: Path) -> bytes:
    """blake2b-256 of a file, read in pieces."""
    digest = blake2b(digest_size=32)
    with path.open("rb") as file:
        while piece := file.read(1 << 22):
            digest.update(piece)
    return digest.digest()


def weights_hash(folder: Path) -> bytes:
    """blake2b-256 over (name, digest) of every weight file: two equal hashes, one model."""
    total = blake2b(digest_size=32)
    for path in weight_files(folder):
        total.update(path.name.encode() + b"\0" + file_digest(path))
    return total.digest()


def tokenizer_hash(folder: Path) -> bytes:
    """blake2b-256 of tokenizer.json, or of the vocabulary files of older tokenizers."""
    for name in ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt"):
        if (folder / name).is_file():
            return file_digest(folder / name)
    raise EngineError(f"{folder} holds no tokenizer (tokenizer.json): fetch the whole model folder")
