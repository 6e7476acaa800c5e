"""Chains walked by torch end in the same bits as numpy's, in int8 and in float32."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from neurons.engine.device_chain import TorchMachine  # noqa: E402
from subnets.hardware.chain import (  # noqa: E402
    EngineTrouble,
    Material,
    NumpyMachine,
    Shape,
    draw,
    shape_of,
)
from subnets.hardware.check import is_end  # noqa: E402
from subnets.hardware.measure import measure  # noqa: E402


def check(machine: TorchMachine, shape: Shape) -> None:
    for seed in (b"a", b"b"):
        material = draw(seed, shape)
        end = machine.walk(material, material.start)
        assert np.array_equal(end, NumpyMachine().walk(material, material.start))
        assert is_end(machine, material, end, np.random.default_rng(1))  # a validator's card
        wrong = end.copy()
        wrong[7, 9] = -wrong[7, 9] or 1
        assert not is_end(machine, material, wrong, np.random.default_rng(1))


@pytest.mark.parametrize("int8", [True, False], ids=["int8", "float32"])
def test_torch_on_a_processor_equals_numpy(int8: bool) -> None:
    machine = TorchMachine("cpu")
    if int8 and not machine._int8:
        pytest.skip("this torch multiplies no int8 matrices on a processor")
    machine._int8 = int8
    check(machine, Shape(256, 5))


def test_trouble_on_a_device_is_told_in_one_line() -> None:
    machine, material = TorchMachine("cpu"), draw(b"t", Shape(256, 1))
    broken = Material(material.matrix[:, :99], material.start, material.words)
    with pytest.raises(EngineTrouble, match="cannot do it now") as caught:
        machine.walk(broken, material.start)
    assert "\n" not in str(caught.value)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_card_equals_numpy_and_is_faster() -> None:
    machine = TorchMachine("cuda")
    check(machine, Shape(256, 5))
    check(machine, Shape(2048, 3))
    machine._int8 = False
    check(machine, Shape(1024, 3))
    machine._int8 = True
    rate = measure(machine)
    print(f"{machine.name}: {rate / 1e12:.1f} trillion multiply-adds a second")
    shape = shape_of(rate)
    material = draw(b"large", Shape(shape.size, 2))
    assert is_end(
        machine, material, machine.walk(material, material.start), np.random.default_rng()
    )
