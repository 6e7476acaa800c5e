"""The parts of a transformers model: blocks that one machine can hold, and the two ends.

The fast class. Only architectures whose blocks do nothing but add to the rows are known here:
embedding, blocks, a norm, an output layer. Blocks run without graphs and compiled layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, GenerationConfig

from ganglion.wire.spans import Kind, Values
from neurons.engine import paged_attention
from neurons.engine.base import PAGE, EngineError, ModelCard, Output, Row
from neurons.engine.folder import tokenizer_hash, weight_files, weights_hash
from neurons.engine.hf import kept, patterns
from neurons.engine.paged_attention import Pass, TorchCache

KNOWN = ("llama", "mistral", "qwen2", "qwen3")


class HfBlocks:
    """Some consecutive blocks of a transformers model, in its precision."""

    def __init__(self, net: Any, config: Any, blocks: range, device: torch.device) -> None:
        self.blocks, self._net, self._device = blocks, net, device
        self._layers = list(net.layers)
        self._heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        self._width = getattr(config, "head_dim", None) or (
            config.hidden_size // config.num_attention_heads
        )

    def new_cache(self, pages: int) -> TorchCache:
        """An empty cache of `pages` pages for the blocks that are here."""
        shape = (pages * PAGE, self._heads, self._width)

        def blank() -> list[torch.Tensor]:
            return [torch.zeros(shape, dtype=self._net.dtype, device=self._device)
                    for _ in self._layers]  # fmt: skip

        return TorchCache(blank(), blank())

    def run(
        self, cache: TorchCache, rows: Sequence[Row], x: Values, first: int, last: int
    ) -> Values:
        """See `Blocks.run`."""
        start = self.blocks.start
        self._net.layers = torch.nn.ModuleList(self._layers[first - start : last - start])
        with torch.inference_mode():
            paged = Pass(cache, rows, self._device)
            out = self._net(
                inputs_embeds=tensor_of(x, self._device)[None], position_ids=paged.positions,
                use_cache=False, paged=paged,
            ).last_hidden_state[0]  # fmt: skip
            return values_of(out[torch.tensor(kept(rows), dtype=torch.long, device=self._device)])


class HfEnds:
    """Embedding, final norm and output layer of a transformers model."""

    def __init__(self, net: Any, card: ModelCard, device: torch.device) -> None:
        self._net, self._card, self._device = net, card, device

    def embed(self, tokens: Sequence[int]) -> Values:
        """See `Ends.embed`."""
        with torch.inference_mode():
            ids = torch.tensor(tokens, dtype=torch.long, device=self._device)
            return values_of(self._net.get_input_embeddings()(ids))

    def outputs(self, x: Values, keeps: Sequence[int]) -> list[Output]:
        """See `Ends.outputs`."""
        with torch.inference_mode():
            states = self._net.model.norm(tensor_of(x, self._device))
            logits = self._net.get_output_embeddings()(states).double().cpu().numpy()
            entering = patterns(states)
        ends = np.cumsum(keeps).tolist()
        return [Output(logits[e - k : e], entering[e - k : e]) for e, k in zip(ends, keeps)]


class HfParts:
    """The parts of a model of the fast class."""

    def __init__(self, folder: Path, name: str, dtype: torch.dtype | None = None) -> None:
        self.folder = folder
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        on_cuda = self.device.type == "cuda"
        self._dtype = dtype or (torch.bfloat16 if on_cuda else torch.float32)
        self.kind = Kind.BFLOAT16 if self._dtype == torch.bfloat16 else Kind.FLOAT32
        try:
            config = self._config = AutoConfig.from_pretrained(folder)
        except (OSError, ValueError, KeyError) as e:
            raise EngineError(f"transformers cannot read {folder}: {e}") from e
        if config.model_type not in KNOWN:
            raise EngineError(
                f"{name} is a {config.model_type} model; in parts the hf engine runs "
                f"{', '.join(KNOWN)} only"
            )
        self.layers: int = config.num_hidden_layers
        self.card = ModelCard(
            name, weights_hash(folder), tokenizer_hash(folder), config.vocab_size,
            config.hidden_size, config.max_position_embeddings, self._stops(), exact=False,
        )  # fmt: skip
        paged_attention.register()

    def load_blocks(self, blocks: range) -> HfBlocks:
        """See `Parts`."""
        if not 0 <= blocks.start < blocks.stop <= self.layers:
            raise EngineError(
                f"{self.folder} has blocks 0:{self.layers}, so {blocks.start}:{blocks.stop} is "
                "no span"
            )
        config = self._cut(blocks)
        net = self._made(AutoModel, config)
        heads = {f"model.layers.{block}.": f"layers.{i}." for i, block in enumerate(blocks)}

        def renamed(name: str) -> str | None:
            head = ".".join(name.split(".")[:3]) + "."
            return heads[head] + name[len(head) :] if head in heads else None

        net.embed_tokens, net.norm = None, torch.nn.Identity()
        self._fill(net, renamed)
        return HfBlocks(net.to(self.device), config, blocks, self.device)

    def load_ends(self) -> HfEnds:
        """See `Parts`."""
        net = self._made(AutoModelForCausalLM, self._cut(range(0)))

        def renamed(name: str) -> str | None:
            return None if name.startswith("model.layers.") else name

        self._fill(net, renamed)
        return HfEnds(net.to(self.device), self.card, self.device)

    def _cut(self, blocks: range) -> Any:
        """The configuration of a model of these blocks alone."""
        config = deepcopy(self._config)
        types = getattr(config, "layer_types", None)
        config.num_hidden_layers = len(blocks)
        if types is not None:
            config.layer_types = [types[block] for block in blocks]
        return config

    def _made(self, kind: Any, config: Any) -> Any:
        """A model without values, but for those that are in no file."""
        with torch.device("meta"):
            net = kind.from_config(
                config, dtype=self._dtype, attn_implementation=paged_attention.NAME
            )
        base = net if kind is AutoModel else net.model
        base.rotary_emb = type(base.rotary_emb)(config=config)
        return net.eval()

    def _fill(self, net: Any, renamed: Callable[[str], str | None]) -> None:
        """Give a model its values from the folder's files; EngineError if some are missing."""
        found: dict[str, torch.Tensor] = {}
        for path in weight_files(self.folder):
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 - it is no dictionary
                    new = renamed(name)
                    if new is not None:
                        found[new] = file.get_tensor(name).to(self._dtype)
        missing = self._assigned(net, found)
        if missing:
            raise EngineError(f"{self.folder}: the weights lack the tensor {missing[0]}")

    def _assigned(self, net: Any, found: Mapping[str, torch.Tensor]) -> list[str]:
        """Assign values to a model; the names of those that it still lacks."""
        missing = list(net.load_state_dict(found, strict=False, assign=True).missing_keys)
        if "lm_head.weight" in missing and self._config.tie_word_embeddings:
            net.lm_head.weight = net.get_input_embeddings().weight
            missing.remove("lm_head.weight")
        return missing

    def _stops(self) -> frozenset[int]:
        ends = None
        if (self.folder / "generation_config.json").is_file():
            ends = GenerationConfig.from_pretrained(self.folder).eos_token_id
        ends = self._config.eos_token_id if ends is None else ends
        return frozenset(ends if isinstance(ends, list) else [] if ends is None else [ends])


def tensor_of(x: Values, device: torch.device) -> torch.Tensor:
    """Rows as they travel, on a device."""
    if x.dtype == np.uint16:
        return torch.from_numpy(x.view(np.int16)).view(torch.bfloat16).to(device)
    return torch.from_numpy(x).to(device)


def values_of(rows: torch.Tensor) -> Values:
    """Rows of a device as they travel."""
    if rows.dtype == torch.bfloat16:
        return patterns(rows)
    values: Values = rows.float().cpu().numpy()
    return values
