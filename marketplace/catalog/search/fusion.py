"""Joining two rankings by normalised scores. docs/algorithms/search.md explains the choice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LEXICAL_WEIGHT: Final = 0.4
DENSE_WEIGHT: Final = 0.6


def normalise(scores: Mapping[int, float]) -> dict[int, float]:
    """Min-max to 0..1; when all scores are equal, all are 1."""
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    if high == low:
        return dict.fromkeys(scores, 1.0)
    return {key: (score - low) / (high - low) for key, score in scores.items()}


def fuse(lexical: Mapping[int, float], dense: Mapping[int, float]) -> list[tuple[int, float]]:
    """0.4 × BM25 + 0.6 × cosine on min-max-normalised scores, best first, ties by id.

    What only one side found counts zero on the other.
    """
    first, second = normalise(lexical), normalise(dense)
    joined = {
        key: LEXICAL_WEIGHT * first.get(key, 0.0) + DENSE_WEIGHT * second.get(key, 0.0)
        for key in first.keys() | second.keys()
    }
    return sorted(joined.items(), key=lambda item: (-item[1], item[0]))
