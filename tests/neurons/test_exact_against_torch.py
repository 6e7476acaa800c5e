"""The exact engine computes the same function as transformers does on the same folder."""

import numpy as np
import pytest

from neurons.engine.base import prefill
from neurons.engine.bytes import ByteTokenizer
from neurons.engine.folder import TINY
from neurons.engine.llama import ExactLlama

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


def test_logits_agree_with_transformers_in_float32() -> None:
    tokens = ByteTokenizer(TINY).chat([("user", "What does json.dumps do?")])
    reference = transformers.LlamaForCausalLM.from_pretrained(TINY, dtype=torch.float32)
    with torch.no_grad():
        theirs = reference(torch.tensor([tokens])).logits[0].double().numpy()
    ours = prefill(ExactLlama.load(TINY, "tiny"), tokens, len(tokens)).logits
    assert np.abs(ours - theirs).max() < 1e-3 * np.abs(theirs).max()


def test_both_tokenizers_read_the_folder_alike() -> None:
    theirs, ours = transformers.AutoTokenizer.from_pretrained(TINY), ByteTokenizer(TINY)
    turns = [("system", "Be brief."), ("user", "naïve ☃"), ("assistant", "x"), ("user", "y")]
    messages = [{"role": role, "content": content} for role, content in turns]
    ids = theirs.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)
    assert list(ids["input_ids"]) == ours.chat(turns)
    assert theirs("a b\n  ☃", add_special_tokens=False)["input_ids"] == ours.encode("a b\n  ☃")
