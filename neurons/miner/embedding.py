"""Answering requests for vectors."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ganglion.exact.ieee import Floats
from ganglion.hashing import blake2_256
from ganglion.wire import receipts
from ganglion.wire import vectors as protocol
from ganglion.wire.fields import BadMessage
from ganglion.wire.receipts import Finish, Receipt
from ganglion.wire.vectors import EmbedRequest, vector_bytes
from neurons.engine.base import Embedder
from neurons.identity import Identity

NO_SEED = bytes(32)


class EmbedService:
    """One embedding model offered by one identity; texts are embedded one request at a time."""

    def __init__(self, embedder: Embedder, identity: Identity) -> None:
        self.embedder, self.identity, self.card = embedder, identity, embedder.card
        self.answers = 0
        self._thread = ThreadPoolExecutor(1, "embedder")

    async def answer(self, body: bytes, caller: bytes) -> dict[str, Any]:
        """The JSON answer to a request; BadMessage if it cannot be served."""
        request = EmbedRequest.from_bytes(body)
        if request.model not in (self.card.name, "default"):
            raise BadMessage(f"this miner serves {self.card.name}, not {request.model[:80]}")
        loop = asyncio.get_running_loop()
        vectors, counted = await loop.run_in_executor(self._thread, self._work, request.texts)
        parts = vector_bytes(vectors.astype(np.float32))
        receipt = Receipt(
            version=receipts.VERSION,
            genesis=self.identity.genesis,
            netuid=self.identity.netuid,
            request=blake2_256(body),
            caller=caller,
            miner=self.identity.hotkey.public_key,
            weights=self.card.weights_hash,
            exact=self.card.exact,
            seed=NO_SEED,
            prompt_tokens=counted,
            first=0,
            tokens=(),
            finish=Finish.VECTORS,
            evidence=protocol.evidence(parts),
        )
        self.answers += 1
        return protocol.answer_json(parts, receipts.sign(receipt, self.identity.hotkey))

    def _work(self, texts: Sequence[str]) -> tuple[Floats, int]:
        return self.embedder.embed(texts), sum(self.embedder.count(text) for text in texts)
