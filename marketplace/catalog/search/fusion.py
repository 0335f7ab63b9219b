"""Joining two rankings by normalised scores. docs/algorithms/search.md explains the choice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from marketplace.catalog.search.wordsearch import Worded

LEXICAL_WEIGHT: Final = 0.65


class Fused(NamedTuple):
    """A product with both sides' scores as they were, None where that side did not know it, and their shares.

    `score` is the shares' sum, 0 to 1, by which it is ranked.
    """

    product_id: int
    score: float
    words: float | None
    meaning: float | None
    words_share: float
    meaning_share: float


def normalise(scores: Mapping[int, float]) -> dict[int, float]:
    """Min-max to 0..1; when all scores are equal, all are 1."""
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    if high == low:
        return dict.fromkeys(scores, 1.0)
    return {key: (score - low) / (high - low) for key, score in scores.items()}


def fuse(
    lexical: Iterable[Worded],
    dense: Iterable[tuple[Worded, float]],
    *,
    lexical_weight: float = LEXICAL_WEIGHT,
) -> list[Fused]:
    """The weighted sum of BM25 and cosine, each min-max-normalised, best first, ties by id.

    What only one side found counts zero on the other.
    """
    words = {one.product_id: one.score for one in lexical}
    meanings, others = {}, {}
    for one, similarity in dense:
        meanings[one.product_id] = similarity
        others[one.product_id] = one.score
    by_words, by_meaning = normalise(words), normalise(meanings)
    fused = []
    for number in words.keys() | meanings.keys():
        of_words = lexical_weight * by_words.get(number, 0.0)
        of_meaning = (1 - lexical_weight) * by_meaning.get(number, 0.0)
        worded = words.get(number, others.get(number, 0.0)) or None
        fused.append(Fused(number, of_words + of_meaning, worded, meanings.get(number), of_words, of_meaning))
    return sorted(fused, key=lambda one: (-one.score, one.product_id))
