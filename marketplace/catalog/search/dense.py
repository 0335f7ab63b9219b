"""Nearest texts by meaning: pgvector's HNSW over half-precision vectors.

Only texts are searched here, each once however many products read so; which products have them and pass the
filters is for the full-text index to say, which holds every filter in one place.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from django.db import connection

# pgvector's most; a scan that wants more goes on in steps.
_MOST_EF: Final = 1_000

# Two statements in one message are one transaction, which the settings end with; four messages cost a millisecond more.
_NEAREST: Final = """
SELECT set_config('hnsw.iterative_scan', 'relaxed_order', true),
    set_config('hnsw.ef_search', %(ef)s::text, true), set_config('hnsw.max_scan_tuples', %(tuples)s::text, true);
SELECT key, 1 - (vector <=> %(vector)s::halfvec) FROM catalog_textembedding
ORDER BY vector <=> %(vector)s::halfvec LIMIT %(limit)s
"""
_AMONG: Final = """
SELECT key, 1 - (vector <=> %(vector)s::halfvec) FROM catalog_textembedding WHERE key = ANY(%(keys)s)
"""


def nearest_texts(*, vector: Sequence[float], limit: int) -> dict[int, float]:
    """Keys of the nearest texts to their cosine similarity (−1..1), nearest first."""
    values: dict[str, str | int] = {
        "vector": _literal(vector), "limit": limit, "ef": min(limit, _MOST_EF), "tuples": limit * 2,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_NEAREST, values)
        cursor.nextset()
        found = _found(cursor)
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def similarities(*, vector: Sequence[float], keys: Collection[int]) -> dict[int, float]:
    """The cosine similarity of each of these texts that has a vector."""
    if not keys:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_AMONG, {"vector": _literal(vector), "keys": list(keys)})
        return _found(cursor)


def _found(cursor: Any) -> dict[int, float]:
    return {int(key): float(similarity) for key, similarity in cursor.fetchall()}


def _literal(vector: Sequence[float]) -> str:
    return "[" + ",".join(f"{part:.6f}" for part in vector) + "]"
