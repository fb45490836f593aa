"""A table model as ONNX: one graph from the values of the columns to predictions, labels and probabilities.

`docs/export.md` describes it. Everything is computed in float64, as `peer predict` does: columns such as times have
offsets that float32 cannot hold. Weights are stored as the float32 that they are.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from ...system.extras import load
from .exported import TableModel

__all__ = ["onnx_bytes"]

OPSET: Final = 17
IR_VERSION: Final = 8
"""Of 2022, like the opset: programs that run ONNX refuse what is newer than they are, and nothing here needs more."""

_IN_GRAPH: Final = frozenset({"mean", "scale", "target_mean", "target_scale"})
"""Fields that the graph holds as constants; the others are properties of the file."""


def onnx_bytes(model: TableModel, facts: Mapping[str, Any]) -> bytes:
    """The content of the file. `facts`: where the weights come from. Raises MissingPackage."""
    onnx = load("onnx", "--format onnx", "onnx")
    graph = _Graph(onnx)
    outputs = _head(graph, model, _layers(graph, model))
    helper = onnx.helper
    rows = helper.make_tensor_value_info("rows", onnx.TensorProto.DOUBLE, ["count", len(model.names)])
    made = helper.make_model(
        helper.make_graph(graph.nodes, "coterie", [rows], outputs, graph.constants),
        producer_name="coterie",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    fields = {name: value for name, value in model.fields().items() if name not in _IN_GRAPH} | {"coterie": facts}
    # Numbers that stand for gaps come as an array.
    helper.set_model_props(made, {name: json.dumps(value, default=np.ndarray.tolist) for name, value in fields.items()})
    onnx.checker.check_model(made, full_check=True)
    return bytes(made.SerializeToString())


class _Graph:
    """Nodes and constants as they come up; each is named for the value that it gives."""

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: Any) -> str:
        """Store an array; returns its name."""
        self.constants.append(self.onnx.numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, kind: str, *inputs: str, out: str, **attributes: Any) -> str:
        """Add a node; returns the name of its output."""
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [out], name=out, **attributes))
        return out

    def output(self, name: str, element: int, *shape: Any) -> Any:
        """Declare a value to be an output of the graph."""
        return self.onnx.helper.make_tensor_value_info(name, element, shape)


def _layers(graph: _Graph, model: TableModel) -> str:
    """Standardise, and go through all layers; returns the name of the last one's raw output."""
    # What is in a dropped column must not matter, not even a NaN: it is never looked at.
    places = model.places
    mean, scale = graph.constant("mean", model.mean[places]), graph.constant("scale", model.scale[places])
    value = graph.node("Gather", "rows", graph.constant("needed", np.array(places)), out="inputs", axis=1)
    value = graph.node("Div", graph.node("Sub", value, mean, out="centred"), scale, out="standardised")
    count = len(model.weights) // 2
    for layer in range(count):
        matrix, bias = model.weights[2 * layer], model.weights[2 * layer + 1]
        for name, array in (("weights", matrix if layer else matrix[places]), ("bias", bias)):
            stored = graph.constant(f"{name}_{layer}_float32", array)
            graph.node("Cast", stored, out=f"{name}_{layer}", to=graph.onnx.TensorProto.DOUBLE)
        value = graph.node("MatMul", value, f"weights_{layer}", out=f"product_{layer}")
        value = graph.node("Add", value, f"bias_{layer}", out=f"layer_{layer}")
        if layer + 1 < count:
            value = graph.node("Tanh", value, out=f"tanh_{layer}")
    return value


def _head(graph: _Graph, model: TableModel, raw: str) -> list[Any]:
    """Make predictions of the last layer's raw output; returns the outputs of the graph."""
    kinds = graph.onnx.TensorProto
    if model.link == "identity":
        one = graph.node("Squeeze", raw, graph.constant("axis", np.array([1])), out="value")
        scaled = graph.node("Mul", one, graph.constant("target_scale", model.target_scale), out="scaled")
        graph.node("Add", scaled, graph.constant("target_mean", model.target_mean), out="prediction")
        return [graph.output("prediction", kinds.DOUBLE, "count")]
    if model.link == "logistic":
        second = graph.node("Sigmoid", raw, out="second")
        first = graph.node("Sub", graph.constant("one", 1.0), second, out="first")
        graph.node("Concat", first, second, out="probabilities", axis=1)
        # Of the raw output, since the probabilities of a row may be so close that they are the same float.
        is_second = graph.node("Greater", raw, graph.constant("zero", 0.0), out="is_second")
        column = graph.node("Cast", is_second, out="code_column", to=kinds.INT64)
        code = graph.node("Squeeze", column, graph.constant("axis", np.array([1])), out="code")
    else:
        graph.node("Softmax", raw, out="probabilities", axis=1)
        code = graph.node("ArgMax", raw, out="code", axis=1, keepdims=0)
    labels = graph.constant("classes", np.array(model.task.classes, dtype=object))
    graph.node("Gather", labels, code, out="label")
    return [
        graph.output("label", kinds.STRING, "count"),
        graph.output("probabilities", kinds.DOUBLE, "count", len(model.task.classes)),
    ]
