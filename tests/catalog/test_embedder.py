"""Vectors of texts, however they come."""

from __future__ import annotations

import numpy as np

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
    # int8 activations are scaled by what is embedded at once: near, not equal.
    assert (together * alone).sum(axis=1).min() > 0.97
