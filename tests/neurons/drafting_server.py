"""A small inference server in the dialects of vLLM, llama.cpp and SGLang, our tiny model behind it.

Only the routes and fields that drafting uses; greedy decoding, ids in and out, log-probabilities.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import orjson
from aiohttp import web

from neurons.engine.base import LanguageModel, Row, pages_for
from neurons.http import Server


@dataclass
class Drafting:
    """The server and what befell it. `shape` is vllm, llama.cpp or sglang."""

    model: LanguageModel
    shape: str
    requests: list[dict] = field(default_factory=list)
    status: int = 200
    raw: bytes | None = None
    stall: float = 0.0
    url: str = ""

    def decode(self, prompt: list[int], count: int, top: int) -> list[tuple[int, float, list]]:
        """Greedy steps: (token, log-probability, the likeliest as (token, log-probability))."""
        pages, steps = range(pages_for(len(prompt) + count)), []
        cache, row = self.model.new_cache(len(pages)), Row(prompt, 0, pages)
        for _ in range(count):
            logits = self.model.forward(cache, [row])[0].logits[0]
            shifted = logits - logits.max()
            logs = shifted - np.log(np.exp(shifted).sum())
            best = np.argsort(-logs, kind="stable")[:top].tolist()
            steps.append((best[0], float(logs[best[0]]), [(t, float(logs[t])) for t in best]))
            row = Row([best[0]], row.start + len(row.tokens), pages)
            if best[0] in self.model.card.stops:
                break
        return steps

    async def answer(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        self.requests.append(body)
        await asyncio.sleep(self.stall)
        if self.raw is not None:
            return web.Response(body=self.raw, status=self.status)
        if self.shape == "sglang":
            settings = body["sampling_params"]
            assert settings["temperature"] == 0
            assert body["return_logprob"]
            steps = self.decode(
                body["input_ids"], settings["max_new_tokens"], body["top_logprobs_num"]
            )
            meta = {
                "output_token_logprobs": [[lp, token, None] for token, lp, _ in steps],
                "output_top_logprobs": [[[lp, t, None] for t, lp in top] for *_, top in steps],
            }
            return web.json_response({"text": "", "meta_info": meta})
        assert body["temperature"] == 0
        steps = self.decode(body["prompt"], body["max_tokens"], body["logprobs"])
        told = self.vllm(steps) if self.shape == "vllm" else self.llama(steps)
        choice = {"index": 0, "text": "", "logprobs": told, "finish_reason": "length"}
        return web.json_response({"object": "text_completion", "choices": [choice]})

    @staticmethod
    def vllm(steps: list) -> dict:
        return {
            "tokens": [f"token_id:{token}" for token, *_ in steps],
            "token_logprobs": [lp for _, lp, _ in steps],
            "top_logprobs": [{f"token_id:{t}": lp for t, lp in top} for *_, top in steps],
            "text_offset": [0 for _ in steps],
        }

    @staticmethod
    def llama(steps: list) -> dict:
        def named(token: int, lp: float) -> dict:
            return {"id": token, "token": "", "bytes": [], "logprob": lp}

        return {
            "content": [
                named(token, lp) | {"top_logprobs": [named(t, v) for t, v in top]}
                for token, lp, top in steps
            ]
        }


@asynccontextmanager
async def drafting(model: LanguageModel, shape: str = "vllm") -> AsyncIterator[Drafting]:
    """The server on a free port."""
    made, app = Drafting(model, shape), web.Application()
    app.router.add_post("/v1/completions", made.answer)
    app.router.add_post("/generate", made.answer)
    server = Server(app, "127.0.0.1", 0)
    await server.start()
    made.url = f"http://127.0.0.1:{server.port}" + ("" if shape == "sglang" else "/v1")
    try:
        yield made
    finally:
        await server.stop()
