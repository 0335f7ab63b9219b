"""Joining two rankings by normalised scores. docs/algorithms/search.md explains the choice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from marketplace.catalog.search.wordsearch import Worded

LEXICAL_WEIGHT: Final = 0.65


@dataclass(frozen=True, slots=True)
class Fused:
    """A product with both sides' scores as they were, None where that side did not know it, and their shares."""

    product_id: int
    words: float | None
    meaning: float | None
    words_share: float
    meaning_share: float

    @property
    def score(self) -> float:
        """What it is ranked by, 0 to 1."""
        return self.words_share + self.meaning_share


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
    fused = [
        Fused(
            product_id=number,
            words=words.get(number, others.get(number, 0.0)) or None,
            meaning=meanings.get(number),
            words_share=lexical_weight * by_words.get(number, 0.0),
            meaning_share=(1 - lexical_weight) * by_meaning.get(number, 0.0),
        )
        for number in words.keys() | meanings.keys()
    ]
    return sorted(fused, key=lambda one: (-one.score, one.product_id))
