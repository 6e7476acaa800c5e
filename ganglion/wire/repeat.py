"""Asking a miner the same thing twice: what one of the exact class must answer alike."""

from __future__ import annotations

import secrets

from ganglion.keys import Keypair
from ganglion.wire.call import Caller, CallFailed, Target
from ganglion.wire.receipts import SignedReceipt, is_signed
from ganglion.wire.text import ID_SIZE, SEED_SIZE, Sampling, TextRequest


async def twice(key: Keypair, target: Target, tokens: int) -> tuple[SignedReceipt, SignedReceipt]:
    """The receipts of two answers to one request, each of which the miner has signed.

    CallFailed if there are none.
    """
    sampling = Sampling(secrets.token_bytes(SEED_SIZE))
    prompt = f"Write down what you know about the number {secrets.randbelow(10**6)}."
    request = TextRequest(secrets.token_bytes(ID_SIZE), "default", sampling, tokens, prompt=prompt)
    found = []
    async with Caller(key) as caller:
        for _ in range(2):
            signed = (await caller.text(target, request)).answer.signed
            if signed is None or not is_signed(signed):
                raise CallFailed("bad-format", f"{target.url} did not sign its answer")
            found.append(signed)
    return found[0], found[1]
