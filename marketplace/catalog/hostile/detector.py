"""From a text to a judgement that can be explained. Pure; takes any text, in bounded time.

The score joins the weights of the signals found, `1 - product of (1 - weight)`, as if each were an independent witness
(noisy-or: Pearl, Probabilistic Reasoning in Intelligent Systems, 1988). A text counts by its orders or by its pressure,
each with a threshold chosen on the train half by `benchmarks/hostile_text.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from marketplace.catalog.hostile.decoding import hidden_texts, squashed
from marketplace.catalog.hostile.readings import Reading, read
from marketplace.catalog.hostile.signals import ORDERS, PRESSURE, SIGNALS, Kind, Signal

# Raise it with every change of signals, weights, thresholds or readings: all texts are then examined again.
VERSION: Final = 1
ORDERS_FROM: Final = 0.6
PRESSURE_FROM: Final = 0.7
# Weaker kinds are evidence, but no mark.
_KIND_FROM: Final = 0.35
_AROUND: Final = 40
_LONGEST_EXCERPT: Final = 160
_SQUASHED: Final = re.compile(
    r"(?:ignore|disregard|forget|override|bypass)(?:all|any|the|your|every|my|of|these|those|other){0,4}"
    r"(?:previous|prior|above|earlier|preceding|system|user)(?:instruction|rule|prompt|guideline|order|message)"
)
_SQUASHED_STEMS: Final = ("ignore", "disregard", "forget", "override", "bypass")


@dataclass(frozen=True, slots=True)
class Hit:
    """A signal that was found: what it is, how far it convinces alone, why, and where."""

    name: str
    kind: Kind
    weight: float
    why: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of a text. Scores are from 0 to 1; `kinds` is empty for a text that is left alone."""

    orders: float
    pressure: float
    kinds: tuple[Kind, ...]
    hits: tuple[Hit, ...]

    @property
    def hostile(self) -> bool:
        """Whether it is marked at all."""
        return bool(self.kinds)

    @property
    def gives_orders(self) -> bool:
        """Whether it is to be looked at by an operator: it speaks to agents, it does not merely press."""
        return self.orders >= ORDERS_FROM


_HARMLESS: Final = Judgement(0.0, 0.0, (), ())


class _Table:
    """Signals by their stems: which of them a text can hold at all costs one look for each stem."""

    def __init__(self, signals: Sequence[Signal]) -> None:
        self._signals = signals
        self._by_stem: dict[str, list[int]] = {}
        for place, signal in enumerate(signals):
            for stem in signal.stems:
                self._by_stem.setdefault(stem, []).append(place)
        self._stems = tuple(self._by_stem)

    def candidates(self, reading: Reading) -> list[Signal]:
        """Signals that have a stem in the text, in the table's order."""
        text = reading.markup
        if reading.plain is not text:
            text = f"{text}\n{reading.plain}"
        places = {place for stem in self._stems if stem in text for place in self._by_stem[stem]}
        return [self._signals[place] for place in sorted(places)]


_TABLE: Final = _Table(SIGNALS)


def examine(text: str) -> Judgement:
    """Judge one text."""
    reading = read(text)
    hits = list(_found(reading))
    openly = {hit.name for hit in hits}
    hits += _concealed(reading, openly)
    hits += _hidden(reading, openly)
    return _judge(hits) if hits else _HARMLESS


def _judge(hits: Sequence[Hit]) -> Judgement:
    orders = joined(hit.weight for hit in hits if hit.kind in ORDERS)
    pressure = joined(hit.weight for hit in hits if hit.kind in PRESSURE)
    weights: dict[Kind, list[float]] = {kind: [] for kind in Kind}
    for hit in hits:
        if (orders if hit.kind in ORDERS else pressure) >= (
            ORDERS_FROM if hit.kind in ORDERS else PRESSURE_FROM
        ):
            weights[hit.kind].append(hit.weight)
    kinds = tuple(kind for kind, found in weights.items() if joined(found) >= _KIND_FROM)
    return Judgement(orders, pressure, kinds, tuple(hits))


def joined(weights: Iterable[float]) -> float:
    """Independent witnesses together."""
    doubt = 1.0
    for weight in weights:
        doubt *= 1 - weight
    return 1 - doubt


def _found(reading: Reading) -> Iterator[Hit]:
    for signal in _TABLE.candidates(reading):
        text = reading.markup if signal.markup else reading.plain
        if found := signal.pattern.search(text):
            yield Hit(signal.name, signal.kind, signal.weight, signal.why, _excerpt(text, *found.span()))


def _excerpt(text: str, start: int, end: int) -> str:
    cut = text[max(0, start - _AROUND) : min(end, start + _LONGEST_EXCERPT) + _AROUND].replace("\n", " ")
    return cut.strip()


def _concealed(reading: Reading, openly: set[str]) -> Iterator[Hit]:
    """What was done to keep words from people or from us, and what these words say."""
    if len(reading.tagged) > 2:
        yield _hit("tag_characters", 0.9, "writes in characters that nobody can see", reading.tagged)
    if reading.inside >= 3:
        weight = 0.65 if reading.inside >= 10 else 0.4
        yield _hit("unseen_inside_words", weight, "parts words by characters that nobody can see", "")
    if reading.turned:
        yield _hit("turned", 0.5, "turns the order of letters around", "")
    if reading.mixed:
        weight = 0.65 if reading.mixed >= 3 else 0.45
        yield _hit("mixed_scripts", weight, "spells words with letters of several scripts", "")
    letters = "" if "override" in openly else squashed(reading.plain)
    if any(stem in letters for stem in _SQUASHED_STEMS) and (found := _SQUASHED.search(letters)):
        yield _hit("spelled_out", 0.65, "gives an order, whatever stands between its letters", found[0])


def _hidden(reading: Reading, openly: set[str]) -> Iterator[Hit]:
    """Orders in what the text holds in other spellings, each once and none that stands in it openly."""
    seen = set(openly)
    others = [("tag characters", reading.tagged)] if reading.tagged else []
    for way, hidden in [*others, *hidden_texts(reading.seen, reading.plain)]:
        found = [hit for hit in _found(read(hidden)) if hit.kind in ORDERS and hit.name not in seen]
        if found:
            yield _hit("encoded", 0.3, f"hides words in {way}", "")
        for hit in found:
            seen.add(hit.name)
            yield Hit(f"{hit.name}_hidden", hit.kind, hit.weight, f"{hit.why}, in {way}", hit.excerpt)


def _hit(name: str, weight: float, why: str, excerpt: str) -> Hit:
    return Hit(name, Kind.CONCEALED, weight, why, excerpt[:_LONGEST_EXCERPT])
