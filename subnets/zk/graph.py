"""Circuits as ONNX graphs, the form that EZKL reads. Numbers in them are whole and exact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from subnets.scoring import U16_MAX
from subnets.zk.rule import SCORE_MAX, Shape, ZkError

if TYPE_CHECKING:
    from onnx import NodeProto

MISSING = "proofs of weights need {}, which is not installed: pip install 'ganglion[zk]'"
OPSET, IR = 13, 8
TAIL = 2
"""Elements behind each vector: the salt behind the scores, the context behind the weights."""


def _onnx() -> tuple[Any, Any]:
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as e:
        raise ZkError(MISSING.format(e.name)) from e
    return onnx, numpy_helper


def _model(
    nodes: list[NodeProto], inputs: dict[str, int], outputs: int, constants: dict[str, Any]
) -> bytes:
    """A model of vectors: names and lengths of the inputs, length of the one output `out`."""
    onnx, numpy_helper = _onnx()
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "ganglion",
        [helper.make_tensor_value_info(name, float32, [n]) for name, n in inputs.items()],
        [helper.make_tensor_value_info("out", float32, [outputs])],
        [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def scoring_graph(shape: Shape) -> bytes:
    """`rule.violation` as a graph: inputs `scores` and `weights` with their tails, output `out`."""
    node = _onnx()[0].helper.make_node
    powers = [node("Identity", ["score"], ["power1"])]
    for i in range(1, shape.exponent):
        powers.append(node("Mul", [f"power{i}", "score"], [f"power{i + 1}"]))
    power = f"power{shape.exponent}"
    nodes = [
        node("Slice", ["scores", "start", "slots"], ["score"]),
        node("Slice", ["weights", "start", "slots"], ["weight"]),
        *powers,
        node("ReduceMax", [power], ["largest"], axes=[0], keepdims=1),
        node("Mul", [power, "full"], ["wanted"]),
        node("Mul", ["weight", "largest"], ["given"]),
        node("Sub", ["wanted", "given"], ["d"]),
        node("Add", ["d", "d"], ["twice"]),
        node("Add", ["twice", "largest"], ["above"]),
        node("Neg", ["above"], ["too_high"]),
        node("Sub", ["largest", "one"], ["limit"]),
        node("Sub", ["twice", "limit"], ["too_low"]),
        node("Neg", ["score"], ["negative"]),
        node("Sub", ["score", "score_max"], ["too_large"]),
        node("Concat", ["too_high", "too_low", "negative", "too_large"], ["all"], axis=0),
        node("Relu", ["all"], ["bad"]),
        node("ReduceSum", ["bad"], ["out"], keepdims=1),
    ]
    constants = {
        "start": np.array([0], np.int64),
        "slots": np.array([shape.slots], np.int64),
        "full": np.array([U16_MAX], np.float32),
        "one": np.array([1], np.float32),
        "score_max": np.array([SCORE_MAX], np.float32),
    }
    length = shape.slots + TAIL
    return _model(nodes, {"scores": length, "weights": length}, 1, constants)


def network_graph(inputs: int, hidden: int, outputs: int) -> tuple[bytes, int]:
    """A small neural network (two layers, a ReLU between), and how many parameters it has.

    Only for the cost report: its parameters are drawn from a fixed seed.
    """
    node, draw = _onnx()[0].helper.make_node, np.random.default_rng(7)
    layers = {
        "w1": draw.normal(0, 0.3, (inputs, hidden)).astype(np.float32),
        "b1": draw.normal(0, 0.3, hidden).astype(np.float32),
        "w2": draw.normal(0, 0.3, (hidden, outputs)).astype(np.float32),
        "b2": draw.normal(0, 0.3, outputs).astype(np.float32),
    }
    nodes = [
        node("MatMul", ["x", "w1"], ["xw1"]),
        node("Add", ["xw1", "b1"], ["h1"]),
        node("Relu", ["h1"], ["h"]),
        node("MatMul", ["h", "w2"], ["hw2"]),
        node("Add", ["hw2", "b2"], ["out"]),
    ]
    parameters = sum(layer.size for layer in layers.values())
    return _model(nodes, {"x": inputs}, outputs, layers), parameters
