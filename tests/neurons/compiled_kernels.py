"""The Triton kernels compiled for GPUs that need not be there, for a process of its own.

Prints a line for each; ends with an error if one does not compile, or if the seeded draw could
round otherwise than numpy does.
"""

import re
import sys

from triton import compile as compiled
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from neurons.engine import cuda_kernels as kernels
from neurons.engine.base import PAGE

HEADS, GROUPS = 8, 4


def build(kernel, target: int, types: dict[str, str], sizes: dict[str, int], **options):
    """The kernel for one generation of cards, its arguments of these types."""
    signature = {name: types.get(name, "constexpr") for name in kernel.arg_names}
    source = ASTSource(fn=kernel, signature=signature, constexprs=sizes)
    made = compiled(source, target=GPUTarget("cuda", target, 32), options=options)
    assert made.asm["cubin"]
    return made


def draw(target: int, logits: str) -> str:
    types = dict(logits=f"*{logits}", seeds="*i64", positions="*i64", heat="*fp64",
                 tops="*fp64", ids="*i64", vocab="i32")  # fmt: skip
    made = build(
        kernels._draw_block, target, types, {"words": kernels.WORDS}, enable_fp_fusion=False
    )
    text = made.asm["ptx"]
    double = set(re.findall(r"\b((?:add|sub|mul|div|fma|mad|rcp|sqrt)\.[a-z.0-9]*f64)", text))
    assert "mul.rn.f64" in double
    assert double <= {f"{name}.rn.f64" for name in ("add", "sub", "mul", "div")}, double
    return f"draw from {logits}: {' '.join(sorted(double))}"


def attention(target: int, kind: str, width: int) -> str:
    types = dict.fromkeys(("query", "keys", "values"), f"*{kind}")
    types |= dict.fromkeys(("table", "row_of", "last"), "*i64")
    types |= dict.fromkeys(("out", "top", "total"), "*fp32")
    types |= dict(scale="fp32", window="i32", table_width="i32")
    step = kernels.step_for(width, int(kind[-2:]) // 8)
    sizes = dict(heads=HEADS, groups=GROUPS, rows=16, width=width, page=PAGE,
                 piece=kernels.PIECE, step=step)  # fmt: skip
    made = build(kernels._attend_piece, target, types, sizes)
    # so much every card has for a block without being asked
    assert made.metadata.shared <= 48 << 10, made.metadata.shared
    types = dict(mixed="*fp32", top="*fp32", total="*fp32", last="*i64", out=f"*{kind}")
    sizes = dict(parts=64, slots=64, width=width, heads=HEADS * GROUPS, piece=kernels.PIECE)
    build(kernels._join_pieces, target, types, sizes)
    return f"attention in {kind}, heads of {width}: {made.metadata.shared} bytes shared"


if __name__ == "__main__":
    generation = int(sys.argv[1])
    for logits in ("bf16", "fp32", "fp64"):
        print(draw(generation, logits))
    for kind, width in (("bf16", 64), ("bf16", 128), ("fp16", 256), ("fp32", 16), ("fp32", 256)):
        print(attention(generation, kind, width))
