"""How a query's words are read: as they stand, as their synonyms, written together or apart, or misspelt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from marketplace.catalog.search.synonyms import LONGEST_PHRASE, Phrase

MOST_WORDS: Final = 32
# What another reading of a word counts beside the word itself.
SYNONYM_WEIGHT: Final = 0.7
COMPOUND_WEIGHT: Final = 0.8
ALIKE_WEIGHT: Final = 0.4
_ALIKE_FROM: Final = 4
_TWICE_FROM: Final = 8
_PART_FROM: Final = 3


@dataclass(frozen=True, slots=True)
class Reading:
    """A way to read a part of the query: stems that stand next to each other, and what a match counts.

    `distance` is how many letters may differ (0: none); `instead_of` is the query's own wording, empty for it.
    """

    phrase: Phrase
    weight: float = 1.0
    distance: int = 0
    instead_of: str = ""

    @property
    def text(self) -> str:
        """In words: `sofa`, `sofa (for couch)`, `headphon (nearly)`."""
        words = " ".join(self.phrase)
        if self.distance:
            return f"{words} (nearly)"
        return f"{words} (for {self.instead_of})" if self.instead_of else words


Wish = tuple[Reading, ...]
Analyze = Callable[[str], Sequence[str]]


def read_query(
    text: str,
    *,
    split: Analyze,
    stem: Analyze,
    known: Callable[[str], int],
    synonyms: Mapping[Phrase, Sequence[Phrase]],
) -> list[Wish]:
    """Every word of a query with its readings, the literal one first; of one wish the best reading counts.

    `split` gives words as written, `stem` the index's stems (none for a stop word), `known` in how many products a
    stem stands. A word that no product has matches its like, and its two halves where products have both.
    """
    words = split(text)[:MOST_WORDS]
    stems = [next(iter(stem(word)), "") for word in words]
    wishes: dict[Phrase, list[Reading]] = {}
    for word, one in zip(words, stems, strict=True):
        if one:
            wishes.setdefault((one,), [Reading((one,))] if known(one) else _unknown(word, one, stem, known))
    for first, second in zip(range(len(words)), range(1, len(words)), strict=False):
        joined = next(iter(stem(words[first] + words[second])), "")
        if joined and (joined,) not in wishes and len(words[second]) >= _PART_FROM and known(joined):
            wording = f"{words[first]} {words[second]}"
            wishes[(joined,)] = [Reading((joined,), COMPOUND_WEIGHT, instead_of=wording)]
    spoken = [one for one in stems if one]
    for start in range(len(spoken)):
        for size in range(1, LONGEST_PHRASE + 1):
            phrase = tuple(spoken[start : start + size])
            if len(phrase) < size:
                break
            for other in synonyms.get(phrase, ()):
                reading = Reading(other, SYNONYM_WEIGHT, instead_of=" ".join(phrase))
                if other not in wishes and all(known(part) for part in other):
                    wishes.setdefault(phrase, []).append(reading)
    return [tuple(readings) for readings in wishes.values() if readings]


def _unknown(word: str, one: str, stem: Analyze, known: Callable[[str], int]) -> list[Reading]:
    apart: tuple[int, Phrase] = (0, ())
    for cut in range(_PART_FROM, len(word) - _PART_FROM + 1):
        parts = tuple(next(iter(stem(part)), "") for part in (word[:cut], word[cut:]))
        if all(parts):
            apart = max(apart, (min(known(part) for part in parts), parts))
    readings = [Reading(apart[1], COMPOUND_WEIGHT, instead_of=word)] if apart[0] else []
    if len(one) >= _ALIKE_FROM:
        readings.append(Reading((one,), ALIKE_WEIGHT, distance=2 if len(word) >= _TWICE_FROM else 1))
    return readings
