"""The transformers engine on a device of its own, for a process of its own: what a GPU would mind.

Tensors of the pretended device are wrappers around ordinary ones. An operation that mixes them
with tensors of the host fails, as it would on CUDA, and so does reading one without moving it;
everything else computes as it does on the host. Registering a device changes the whole process.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from test_flat_passes import attention, draw
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from neurons.engine.base import Claim, Draw, Output, Row
from neurons.engine.cuda_graphs import Kernels
from neurons.engine.folder import TINY
from neurons.engine.hf import HfModel
from subnets.proofs.sampling import Sampling

_setup_privateuseone_for_python_backend("npy")
AWAY, HOME = torch.device("npy:0"), torch.device("cpu")
aten = torch.ops.aten


class Away(torch.Tensor):
    """A tensor of the pretended device."""

    __torch_function__ = torch._C._disabled_torch_function_impl
    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Away:
        made: Away = torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(),
            dtype=inner.dtype, device=AWAY,
        )  # fmt: skip
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


def run(func: Any, args: Any, kwargs: Any) -> Any:
    """Compute on the host what is asked of either device; RuntimeError if both are mixed."""
    leaves, packet = tree_leaves((args, kwargs)), func.overloadpacket
    away = [leaf for leaf in leaves if isinstance(leaf, Away)]
    home = [
        t for t in leaves if isinstance(t, torch.Tensor) and not isinstance(t, Away) and t.dim()
    ]
    if away and home and packet not in (aten._to_copy, aten.to, aten.copy_):
        raise RuntimeError(f"{func} mixes devices: {[t.shape for t in home]} lie on the host")
    named = [leaf for leaf in leaves if isinstance(leaf, torch.device)]
    goes = named[0].type == AWAY.type if named else bool(away)
    if packet is aten.copy_:
        goes = isinstance(args[0], Away)
    plain = tree_map(at_home, (args, kwargs))
    result = func(*plain[0], **plain[1])
    if not goes or packet is aten._local_scalar_dense:
        return result
    known = {id(t.inner): t for t in away}
    return tree_map(
        lambda t: (
            known.get(id(t), t) if id(t) in known or not isinstance(t, torch.Tensor) else Away(t)
        ),
        result,
    )


def at_home(leaf: Any) -> Any:
    if isinstance(leaf, torch.device):
        return HOME
    return leaf.inner if isinstance(leaf, Away) else leaf


class Pretend(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


def send(model: HfModel) -> HfModel:
    """Move a model's weights to the pretended device."""
    for module in model.net.modules():
        for name, value in module._parameters.items():
            if value is not None:
                module._parameters[name] = torch.nn.Parameter(Away(value.data), False)
        for name, value in module._buffers.items():
            if value is not None:
                module._buffers[name] = Away(value)
    model.device = AWAY
    return model


def on_device(kernel: Any) -> Any:
    """A kernel that takes and gives tensors of the pretended device, and no others."""

    def call(*args: Any) -> Away:
        assert all(isinstance(a, Away) for a in args if isinstance(a, torch.Tensor))
        return Away(kernel(*tree_map(at_home, args)))

    return call


def settings() -> list[Sampling]:
    seed = bytes(range(32))
    return [Sampling(seed, 0.0), Sampling(seed, 1.0), Sampling(seed, 0.8, 50, 0.9)]


def passes() -> list[list[Row]]:
    """A first pass of prompts and single tokens, then drawn ones, then claims."""
    mixed = [Row([1, 2, 3], 0, range(1)), Row([5], 4, range(1, 2)), Row([7], 20, range(2, 4))]
    drawn = [
        Row([9 + i], 3 + i, range(i, i + 1), draw=Draw(s, 1)) for i, s in enumerate(settings())
    ]
    claimed = [
        Row([1, 2, 3], 0, range(4 + i, 5 + i), keep=3, claim=Claim(s, 0, [2, 3, 4]))
        for i, s in enumerate(settings())
    ]
    return [mixed, drawn, claimed]


def equal(ours: Output, theirs: Output) -> bool:
    same = np.array_equal(ours.logits, theirs.logits) and np.array_equal(ours.states, theirs.states)
    margins = (ours.margins, theirs.margins)
    told = margins[0] is margins[1] or np.array_equal(*margins)  # type: ignore[arg-type]
    return same and told and ours.tokens == theirs.tokens


def check(kernels: tuple[Any, Any] | None, fixed: bool, dtype: torch.dtype) -> None:
    """The same passes on the host and on the device: the same bits."""

    def build(wrap: Any) -> HfModel:
        made = Kernels(*map(wrap, kernels)) if kernels else None
        model = HfModel(TINY, "t", dtype, fixed=fixed, kernels=made)
        model.judges = True
        return model

    here, there = build(lambda kernel: kernel), send(build(on_device))
    cache = here.new_cache(8)
    wanted = [here.forward(cache, rows) for rows in passes()]
    torch._C._set_only_lift_cpu_tensors(True)
    with Pretend():
        cache = there.new_cache(8)
        for rows, theirs in zip(passes(), wanted):
            assert all(map(equal, there.forward(cache, rows), theirs))
    torch._C._set_only_lift_cpu_tensors(False)


def refuses_mixtures() -> None:
    """That this device minds what CUDA minds."""
    with Pretend():
        there = torch.zeros(3, device=AWAY)
        for careless in (lambda: there + torch.ones(3), lambda: there[torch.tensor([0])]):
            with pytest.raises(RuntimeError, match="mixes devices"):
                careless()


if __name__ == "__main__":
    refuses_mixtures()
    check(None, False, torch.bfloat16)
    check((attention, draw), False, torch.float32)
    check((attention, draw), True, torch.float32)
    print("as on the host")
