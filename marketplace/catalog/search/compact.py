"""The packaged model with its weights left in eight bits, for texts of a few words.

The package holds int8 weights and a scale for each column, which ONNX Runtime widens to 32 bits as it loads them. For
one query, reading these 42 MB takes longer than all arithmetic. Here each product by such weights becomes a
`DynamicQuantizeMatMul`, which reads them as they are and takes what comes in in eight bits too
(https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

# As `onnx.TensorProto` numbers it.
_INT8: Final = 3
_DOMAIN: Final = "com.microsoft"


def compact_model(path: Path) -> bytes:
    """The model at a path, rewritten; a model without such weights comes back as it is.

    Its vectors are within a cosine of 0.97 of the original's, of 0.98 where the text has words that the model knows.
    """
    import onnx  # heavy: only processes that search pay for it

    model = onnx.load(path)
    graph = model.graph
    constants = {constant.name: constant for constant in graph.initializer}
    makers = {output: node for node in graph.node for output in node.output}
    nodes = [_compacted(node, constants, makers, graph) or node for node in graph.node]
    # What widened the weights, from the last step to the first.
    for _ in range(2):
        used = {name for node in nodes for name in node.input} | {output.name for output in graph.output}
        nodes = [node for node in nodes if not used.isdisjoint(node.output)]
    used = {name for node in nodes for name in node.input}
    kept = [constant for constant in graph.initializer if constant.name in used]
    for field, values in ((graph.node, nodes), (graph.initializer, kept)):
        del field[:]
        field.extend(values)
    model.opset_import.append(onnx.helper.make_operatorsetid(_DOMAIN, 1))
    return bytes(model.SerializeToString())


def _compacted(node: Any, constants: Mapping[str, Any], makers: Mapping[str, Any], graph: Any) -> Any:
    """The node that takes the place of a product by scaled int8 weights; None for any other node."""
    from onnx import helper, numpy_helper

    found = _weights(node, constants, makers) if node.op_type == "MatMul" else None
    if found is None:
        return None
    weights, scales = (numpy_helper.to_array(one) for one in found)
    columns = weights.shape[1]
    if scales.size not in (1, columns):
        return None
    each = np.broadcast_to(scales.reshape(-1), (columns,)).astype(np.float32)
    names = [f"{node.name}_{part}" for part in ("weights", "scales")]
    for name, values in zip(names, (weights, each), strict=True):
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
    return helper.make_node(
        "DynamicQuantizeMatMul", [node.input[0], *names], list(node.output), name=node.name, domain=_DOMAIN
    )


def _weights(node: Any, constants: Mapping[str, Any], makers: Mapping[str, Any]) -> tuple[Any, Any] | None:
    """The int8 weights and their scales, where a product's second factor is cast from these and multiplied by those."""
    scaled = makers.get(node.input[1])
    if scaled is None or scaled.op_type != "Mul":
        return None
    cast = next((makers[name] for name in scaled.input if name in makers), None)
    scales = next((constants[name] for name in scaled.input if name in constants), None)
    if cast is None or cast.op_type != "Cast" or scales is None:
        return None
    weights = constants.get(cast.input[0])
    return None if weights is None or weights.data_type != _INT8 else (weights, scales)
