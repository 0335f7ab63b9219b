"""Vectors of texts, however they come."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, save
from onnxruntime import InferenceSession

from marketplace.catalog.search.compact import compact_model
from marketplace.catalog.search.embedder import get_embedder

SHORT, LONG = "Red kettle", "A kettle of brushed steel with a long spout " * 6


def test_a_vector_does_not_hang_on_the_texts_beside_it():
    embedder = get_embedder()
    assert embedder is not None, "the embedding model is not installed"
    texts = [SHORT, LONG, *(f"Garden hose {number} m" for number in range(20)), SHORT]
    together = embedder.embed(texts)
    assert together.shape == (len(texts), 384)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-4)
    alone = np.concatenate([embedder.embed([text]) for text in texts])
    assert (together * alone).sum(axis=1).min() > 0.999


def test_a_query_reads_as_a_text_of_the_same_words_does():
    plain, compact = get_embedder(), get_embedder(compact=True)
    assert plain is not None
    assert compact is not None
    texts = [SHORT, LONG, "hedphones wireles", "t-shirt", "für den Garten"]
    near = (plain.embed(texts) * compact.embed(texts)).sum(axis=1)
    assert near.min() > 0.98
    assert near.max() < 0.999999, "it is another model"


def test_a_model_of_other_weights_stays_as_it_is(tmp_path):
    factor = helper.make_tensor("factor", TensorProto.FLOAT, [2, 2], [1, 2, 3, 4])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in ("x", "y")]
    product = helper.make_node("MatMul", ["x", "factor"], ["y"])
    graph = helper.make_graph([product], "plain", ends[:1], ends[1:], [factor])
    path = tmp_path / "plain.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_operatorsetid("", 17)], ir_version=10), path)
    session = InferenceSession(compact_model(path), providers=["CPUExecutionProvider"])
    assert session.run(None, {"x": np.array([[1, 1]], dtype=np.float32)})[0].tolist() == [[4, 6]]
