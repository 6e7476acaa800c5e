"""From the words of a command line to a loaded model: engine kind, model name or folder.

| kind | what runs | needs |
|---|---|---|
| `exact` | the bit-exact CPU engine on a Llama folder; `tiny` is the shipped one | numpy |
| `hf` | any causal language model of transformers, on CUDA when present | the extra `miner` |
| `hf-fixed` | the same in passes of one shape: the same bits in any company | a CUDA device |
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from neurons.engine.base import KINDS, Embedder, EngineError, LanguageModel, Tokenizer
from neurons.engine.bytes import ByteTokenizer
from neurons.engine.folder import TINY
from neurons.engine.llama import ExactLlama
from neurons.engine.tinyembed import MeanEmbedder
from subnets.models import ModelEntry, load_entry

TINY_NAME = "ganglion/tiny"
CALIBRATION = "calibration.json"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to run, its tokenizer, and its calibration if the folder holds one."""

    model: LanguageModel
    tokenizer: Tokenizer
    entry: ModelEntry


def resolve(name: str) -> tuple[str, Path | None]:
    """The public name of a model and its folder, if it is one on this machine."""
    if name in ("tiny", TINY_NAME):
        return TINY_NAME, TINY
    path = Path(name).expanduser()
    return (path.name, path) if path.is_dir() else (name, None)


def load(kind: str, name: str) -> Loaded:
    """Load a model; EngineError says what is missing and what to do."""
    public, folder = resolve(name)
    if kind == "exact":
        if folder is None:
            raise EngineError(f"{name} is no folder here; the exact engine needs a local Llama")
        model: LanguageModel = ExactLlama.load(folder, public)
        tokenizer: Tokenizer = ByteTokenizer(folder)
    elif kind in ("hf", "hf-fixed"):
        try:
            from neurons.engine.hf import load_hf
        except ImportError as e:
            raise EngineError(f"the hf engine needs {e.name}: pip install 'ganglion[miner]'") from e
        model, tokenizer, folder = load_hf(public, folder, fixed=kind == "hf-fixed")
    else:
        raise EngineError(f"there is no engine {kind!r}; the kinds are {', '.join(KINDS)}")
    return Loaded(model, tokenizer, entry_for(model, folder))


def load_embedder(kind: str, name: str) -> Embedder:
    """Load an embedder: the tiny model's own states, or a sentence model of transformers."""
    if kind == "exact":
        loaded = load(kind, name)
        return MeanEmbedder(loaded.model, loaded.tokenizer)
    try:
        from neurons.engine.sentence import MINILM, SentenceEmbedder, find_sentence_model
    except ImportError as e:
        raise EngineError(f"the hf engine needs {e.name}: pip install 'ganglion[miner]'") from e
    if resolve(name)[0] == TINY_NAME:  # the default of --model; it is no sentence model
        name = MINILM
    return SentenceEmbedder(find_sentence_model(name), name.rpartition("/")[2])


def entry_for(model: LanguageModel, folder: Path | None) -> ModelEntry:
    """The calibration beside the weights if it is about them, else an entry with hashes only."""
    card = model.card
    path = None if folder is None else folder / CALIBRATION
    if path is not None and path.is_file():
        try:
            entry = load_entry(path)
        except ValueError as e:
            raise EngineError(f"{path} is malformed: {e}") from e
        if entry.weights_hash == card.weights_hash:
            return entry
    return ModelEntry(card.name, card.weights_hash, card.tokenizer_hash)
