"""Any causal language model of the transformers library behind the paged interface.

By hub name or folder, on CUDA when there is one. The states handed out are those that enter the
output layer, so fingerprints mean the same for every architecture. This is the fast class: its
numbers move a little with kernels, precision and batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import snapshot_download
from transformers import AutoModelForCausalLM, AutoTokenizer

from neurons.engine import paged_attention
from neurons.engine.base import (
    PAGE,
    EngineError,
    ModelCard,
    Output,
    Row,
    Tokenizer,
    bfloat16_patterns,
)
from neurons.engine.bytes import ByteTokenizer
from neurons.engine.folder import read_json, tokenizer_hash, weights_hash
from neurons.engine.paged_attention import Pass, TorchCache

FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]


class HfModel:
    """A transformers model with a paged cache."""

    def __init__(self, folder: Path, name: str, dtype: torch.dtype | None = None) -> None:
        paged_attention.register()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        wanted = dtype or (torch.bfloat16 if self.device.type == "cuda" else torch.float32)
        try:
            self.net = AutoModelForCausalLM.from_pretrained(
                folder, dtype=wanted, attn_implementation=paged_attention.NAME
            ).to(self.device)
        except (OSError, ValueError, KeyError) as e:
            raise EngineError(f"transformers cannot load {folder}: {e}") from e
        self.net.eval()
        config = self.net.config.get_text_config()
        if getattr(config, "attn_logit_softcapping", None):
            raise EngineError(f"{name} caps its attention scores, which this engine cannot do")
        self._heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        self._width = getattr(config, "head_dim", None) or (
            config.hidden_size // config.num_attention_heads
        )
        self._layers = config.num_hidden_layers
        self._entering: list[torch.Tensor] = []
        self.net.get_output_embeddings().register_forward_pre_hook(self._keep)
        self._card = ModelCard(
            name, weights_hash(folder), tokenizer_hash(folder), config.vocab_size,
            config.hidden_size, config.max_position_embeddings, self._stops(), exact=False,
        )  # fmt: skip

    def _keep(self, _: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        self._entering.append(inputs[0])

    def _stops(self) -> frozenset[int]:
        ends = self.net.generation_config.eos_token_id
        ends = self.net.config.eos_token_id if ends is None else ends
        return frozenset(ends if isinstance(ends, list) else [] if ends is None else [ends])

    @property
    def card(self) -> ModelCard:
        """Names, hashes and sizes of this model."""
        return self._card

    def new_cache(self, pages: int) -> TorchCache:
        """An empty cache of `pages` pages in the model's precision."""
        shape = (pages * PAGE, self._heads, self._width)

        def blank() -> list[torch.Tensor]:
            return [torch.zeros(shape, dtype=self.net.dtype, device=self.device)
                    for _ in range(self._layers)]  # fmt: skip

        return TorchCache(blank(), blank())

    def forward(self, cache: TorchCache, rows: Sequence[Row]) -> list[Output]:
        """See `LanguageModel.forward`."""
        with torch.inference_mode():
            return self._forward(cache, rows)

    def _forward(self, cache: TorchCache, rows: Sequence[Row]) -> list[Output]:
        ends = np.cumsum([len(row.tokens) for row in rows]).tolist()
        kept = [i for end, row in zip(ends, rows) for i in range(end - row.keep, end)]
        tokens = [token for row in rows for token in row.tokens]
        self._entering.clear()
        paged = Pass(cache, rows, self.device)
        logits = self.net(
            input_ids=torch.tensor([tokens], device=self.device),
            position_ids=paged.positions,
            use_cache=False,
            logits_to_keep=torch.tensor(kept, dtype=torch.long, device=self.device),
            paged=paged,
        ).logits[0]
        scores = logits.double().cpu().numpy()
        states = bfloat16_patterns(self._entering.pop()[0].float().cpu().numpy())
        ends = np.cumsum([row.keep for row in rows]).tolist()
        return [Output(scores[e - r.keep : e], states[e - r.keep : e]) for e, r in zip(ends, rows)]


class HfTokenizer:
    """A transformers tokenizer. Special tokens spelt out in a chat are read as such by it."""

    def __init__(self, folder: Path) -> None:
        try:
            self._inner = AutoTokenizer.from_pretrained(folder)
        except (OSError, ValueError, KeyError) as e:
            raise EngineError(f"transformers cannot load the tokenizer in {folder}: {e}") from e

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text."""
        return list(self._inner(text, add_special_tokens=False)["input_ids"])

    def complete(self, text: str) -> list[int]:
        """The prompt that asks to continue the text, opened the way the model was trained."""
        return list(self._inner(text)["input_ids"])

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of tokens without special ones."""
        text: str = self._inner.decode(list(tokens), skip_special_tokens=True)
        return text

    def chat(self, messages: Sequence[tuple[str, str]]) -> list[int]:
        """The prompt of a chat by the model's own template; ValueError if it has none."""
        turns = [{"role": role, "content": content} for role, content in messages]
        made = self._inner.apply_chat_template(turns, add_generation_prompt=True, return_dict=True)
        return list(made["input_ids"])


def fetch(name: str) -> Path:
    """The folder of a hub model, from the local cache or, unless HF_HUB_OFFLINE is set, the hub."""
    try:
        return Path(snapshot_download(name, allow_patterns=FILES))
    except (OSError, ValueError) as e:
        raise EngineError(
            f"{name} is neither a folder nor in the local hub cache, and it cannot be fetched: {e}"
        ) from e


def load_hf(
    name: str, folder: Path | None, dtype: torch.dtype | None = None
) -> tuple[HfModel, Tokenizer, Path]:
    """Model, tokenizer and folder; EngineError in one sentence if anything is missing."""
    folder = fetch(name) if folder is None else folder
    model = HfModel(folder, name, dtype)
    spec = read_json(folder / "tokenizer.json") if (folder / "tokenizer.json").is_file() else {}
    merges = spec.get("model", {}).get("merges", True)
    tokenizer: Tokenizer = ByteTokenizer(folder) if merges == [] else HfTokenizer(folder)
    return model, tokenizer, folder
