"""Any causal language model of the transformers library behind the paged interface.

By hub name or folder, on CUDA when there is one. The states handed out are those that enter the
output layer, so fingerprints mean the same for every architecture. This is the fast class: its
numbers move a little with kernels, precision and batch.

On CUDA the layers are compiled, passes of single tokens run as graphs, and tokens are drawn on
the device. With `fixed` every pass has the same shape, so that on one kind of card a token's
numbers do not depend on its company, nor on whether it was decoded or prefilled.
"""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import snapshot_download
from jinja2 import TemplateError
from transformers import AutoModelForCausalLM, AutoTokenizer

from neurons.engine import paged_attention
from neurons.engine.base import (
    PAGE,
    Draw,
    EngineError,
    ModelCard,
    Output,
    Patterns,
    Row,
    Tokenizer,
    bfloat16_patterns,
)
from neurons.engine.bytes import ByteTokenizer
from neurons.engine.cuda_graphs import Decoder, Kernels
from neurons.engine.device_margins import missed
from neurons.engine.device_sampling import drawn
from neurons.engine.folder import read_json, tokenizer_hash, weights_hash
from neurons.engine.paged_attention import Pass, TorchCache

log = logging.getLogger(__name__)

FIXED = 256
"""Tokens of every pass of the fixed shape."""
FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]


class HfModel:
    """A transformers model with a paged cache.

    `fixed` gives every pass one shape; it needs kernels, which a CUDA device has by itself.
    `fuse` compiles the layers there, which takes some seconds on the first passes.
    """

    def __init__(
        self, folder: Path, name: str, dtype: torch.dtype | None = None,
        fixed: bool = False, fuse: bool = True, kernels: Kernels | None = None,
    ) -> None:  # fmt: skip
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        on_cuda = self.device.type == "cuda"
        paged_attention.register(compiled=on_cuda)
        wanted = dtype or (torch.bfloat16 if on_cuda else torch.float32)
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
        self._kernels = usable_kernels(self._width) if on_cuda and kernels is None else kernels
        self._fixed = fixed
        self.judges = on_cuda  # whether claims are judged where the logits lie
        if fixed and self._kernels is None:
            raise EngineError("passes of one shape need a CUDA device and Triton")
        self._entering: list[torch.Tensor] = []
        self.net.get_output_embeddings().register_forward_pre_hook(self._keep)
        self._card = ModelCard(
            name, weights_hash(folder), tokenizer_hash(folder), config.vocab_size,
            config.hidden_size, config.max_position_embeddings, self._stops(), exact=False,
        )  # fmt: skip
        if on_cuda and fuse:
            self._fuse()

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
        # one page more, for the rows that fill up a graph's shape
        shape = ((pages + 1) * PAGE, self._heads, self._width)

        def blank() -> list[torch.Tensor]:
            return [torch.zeros(shape, dtype=self.net.dtype, device=self.device)
                    for _ in range(self._layers)]  # fmt: skip

        return TorchCache(blank(), blank())

    def forward(self, cache: TorchCache, rows: Sequence[Row]) -> list[Output]:
        """See `LanguageModel.forward`. On CUDA a pass whose kept rows all say how is drawn here."""
        with torch.inference_mode():
            if self._kernels is not None and (
                self._fixed or all(len(row.tokens) == 1 for row in rows)
            ):
                logits, states = self._graphed(cache, rows)
            else:
                logits, states = self._eager(cache, rows)
            return self._outputs(rows, logits, states)

    def _fuse(self) -> None:
        """Compile the layers; without a compiler on this machine they stay as they are."""
        layers = getattr(self.net.base_model, "layers", ())
        for layer in layers:
            layer.compile(dynamic=True)
        try:
            self.warm_up()
        except RuntimeError as e:
            log.warning("the layers cannot be compiled (%s): passes are slower", e)
            for layer in layers:
                layer._compiled_call_impl = None

    def warm_up(self) -> None:
        """Run what compiles on first use, so that the first request need not wait for it."""
        cache = self.new_cache(4)
        pages = (range(1), range(1, 2), range(2, 3))
        for new in (20, 1):
            for count in (1, 2, 3):
                self.forward(cache, [Row([0] * min(new, PAGE), 0, pages[i]) for i in range(count)])

    def _net(
        self, ids: torch.Tensor, paged: Pass, kept: torch.Tensor | int = 0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and entering states of the kept tokens; of all by default."""
        self._entering.clear()
        logits = self.net(
            input_ids=ids, position_ids=paged.positions, use_cache=False, logits_to_keep=kept,
            paged=paged,
        ).logits[0]  # fmt: skip
        return logits, self._entering.pop()[0]

    def _eager(self, cache: TorchCache, rows: Sequence[Row]) -> tuple[torch.Tensor, torch.Tensor]:
        kernel = self._kernels.attention if self._kernels is not None else None
        tokens = torch.tensor([[token for row in rows for token in row.tokens]])
        paged = Pass(cache, rows, self.device, kernel)
        # the type is named because a pass in the middle of a long prompt keeps nothing
        wanted = torch.tensor(kept(rows), dtype=torch.long, device=self.device)
        return self._net(tokens.to(self.device), paged, wanted)

    def _graphed(self, cache: TorchCache, rows: Sequence[Row]) -> tuple[torch.Tensor, torch.Tensor]:
        """Every token as a row of its own, in passes of few shapes or of one."""
        assert self._kernels is not None
        if not isinstance(cache.decoder, Decoder):
            cache.decoder = Decoder(
                self._net, self._kernels.attention, cache, self.device.type == "cuda"
            )
        singles: Sequence[Row] = rows
        if any(len(row.tokens) > 1 for row in rows):
            singles = [
                Row(row.tokens[i : i + 1], row.start + i, row.pages)
                for row in rows
                for i in range(len(row.tokens))
            ]
        step, wanted, parts = (FIXED if self._fixed else len(singles)), kept(rows), []
        for at in range(0, len(singles), step):
            piece = singles[at : at + step]
            found = cache.decoder.run(piece, step if self._fixed else 1)
            here = [i - at for i in wanted if at <= i < at + step]
            if len(here) < len(piece) or len(singles) > step:
                index = torch.tensor(here, dtype=torch.long, device=self.device)
                found = found[0][index], found[1][index]
            parts.append(found)
        if len(parts) == 1:
            return parts[0]
        return torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])

    def _outputs(
        self, rows: Sequence[Row], logits: torch.Tensor, states: torch.Tensor
    ) -> list[Output]:
        ends = np.cumsum([row.keep for row in rows]).tolist()
        spans = [slice(end - row.keep, end) for end, row in zip(ends, rows)]
        none = np.empty((0, logits.shape[1]))
        if self.judges and all(row.claim is not None for row in rows):
            entering = patterns(states)
            return [
                Output(none, entering[span], margins=missed(logits[span], row.claim))
                for span, row in zip(spans, rows)
                if row.claim is not None
            ]
        draws = [
            Draw(row.draw.sampling, row.draw.position + i)
            for row in rows
            if row.draw is not None
            for i in range(row.keep)
        ]
        if self._kernels is None or not draws or len(draws) < len(logits):
            scores, entering = logits.double().cpu().numpy(), patterns(states)
            return [Output(scores[span], entering[span]) for span in spans]
        tokens = drawn(self._kernels.draw, logits, draws)
        entering = patterns(states)
        return [Output(none, entering[span], tokens[span]) for span in spans]


def kept(rows: Sequence[Row]) -> list[int]:
    """Which of all tokens of a pass have their logits wanted."""
    ends = np.cumsum([len(row.tokens) for row in rows]).tolist()
    return [i for end, row in zip(ends, rows) for i in range(end - row.keep, end)]


def patterns(states: torch.Tensor) -> Patterns:
    """The bfloat16 bits of a tensor, on the host."""
    if states.dtype == torch.bfloat16:
        bits: Patterns = states.view(torch.int16).cpu().numpy().view(np.uint16)
        return bits
    return bfloat16_patterns(states.float().cpu().numpy())


def usable_kernels(width: int) -> Kernels | None:
    """The Triton kernels if they run here and know heads of this width."""
    if width < 16 or width & (width - 1):
        return None
    try:
        from neurons.engine import cuda_kernels

        zeros = torch.zeros((1, 4), device="cuda")
        words, position = zeros.long(), zeros[:, 0].long()
        cuda_kernels.draw(zeros, words, position, zeros[:, 0].double()).tolist()
    except (ImportError, RuntimeError, OSError, subprocess.SubprocessError) as e:
        log.warning("no Triton kernels (%s): decoding without them is slower", e)
        return None
    return Kernels(cuda_kernels.attention, cuda_kernels.draw)


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
        text: str = self._inner.decode(
            list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    def chat(self, messages: Sequence[tuple[str, str]]) -> list[int]:
        """The prompt of a chat by the model's own template; ValueError if it has none, or one that
        does not take such turns."""
        turns = [{"role": role, "content": content} for role, content in messages]
        apply = self._inner.apply_chat_template
        try:
            made = apply(turns, add_generation_prompt=True, return_dict=True)
        except TemplateError as e:
            raise ValueError(f"its template says: {e}") from e
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
    name: str, folder: Path | None, dtype: torch.dtype | None = None, fixed: bool = False
) -> tuple[HfModel, Tokenizer, Path]:
    """Model, tokenizer and folder; EngineError in one sentence if anything is missing."""
    folder = fetch(name) if folder is None else folder
    model = HfModel(folder, name, dtype, fixed)
    return model, *load_tokenizer(name, folder)


def load_tokenizer(name: str, folder: Path | None) -> tuple[Tokenizer, Path]:
    """A model's tokenizer, and the folder that it is in by now."""
    folder = fetch(name) if folder is None else folder
    spec = read_json(folder / "tokenizer.json") if (folder / "tokenizer.json").is_file() else {}
    merges = spec.get("model", {}).get("merges", True)
    tokenizer: Tokenizer = ByteTokenizer(folder) if merges == [] else HfTokenizer(folder)
    return tokenizer, folder
