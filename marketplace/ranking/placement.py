"""From scores to places: one “New” slot for exploration, a few swapped neighbours, and the exact chance
of each. Pure.

With n candidates for the New slot, one is drawn evenly and put at NEW_POSITION; the others keep their
order of score. In SWAP_SHARE of sessions one pair of neighbours outside the New slot, drawn evenly, is
swapped. Both draws come from the seed, so a reload shows the same page.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

A = TypeVar("A", bound=Hashable)

NEW_POSITION: Final = 3
SWAP_SHARE: Final = 0.015


@dataclass(frozen=True, slots=True)
class Place(Generic[A]):
    """An agent at a position (from 1);

    The propensity is the chance, over all seeds, of exactly this placement.
    """

    agent: A
    position: int
    is_new: bool
    propensity: float
    swapped: bool


def arrange(
    ranked: Sequence[A], *, candidates: Collection[A], seed: str, window: slice = slice(None)
) -> list[Place[A]]:
    """Places for agents given best first; `candidates` are those too new to have shown what they can.

    `window` cuts some positions out; the chances are those of the whole order all the same.
    """
    dice = random.Random(hashlib.sha256(seed.encode()).digest())  # noqa: S311  (a layout, not a secret)
    chosen = [agent for agent in ranked if agent in candidates] if len(ranked) > 1 else []
    slot: int | None = None
    order = list(ranked)
    if chosen:
        drawn = chosen[dice.randrange(len(chosen))]
        slot = min(NEW_POSITION, len(order)) - 1
        order.remove(drawn)
        order.insert(slot, drawn)
    pairs = swappable(len(order), slot)
    pair: int | None = None
    if pairs and dice.random() < SWAP_SHARE:
        pair = pairs[dice.randrange(len(pairs))]
        order[pair], order[pair + 1] = order[pair + 1], order[pair]
    chances = _chances(ranked, chosen, slot, pairs)
    return [
        Place(
            agent=agent,
            position=index + 1,
            is_new=index == slot,
            propensity=1 / len(chosen) if index == slot else chances(agent, index),
            swapped=pair is not None and index in (pair, pair + 1),
        )
        for index, agent in list(enumerate(order))[window]
    ]


def swappable(length: int, slot: int | None) -> list[int]:
    """Left indices of the neighbouring pairs that do not touch the New slot."""
    return [i for i in range(length - 1) if slot is None or slot not in (i, i + 1)]


def _chances(ranked: Sequence[A], chosen: Sequence[A], slot: int | None, pairs: Sequence[int]) -> _Chances[A]:
    drawn = set(chosen)
    above, seen = {}, 0
    for agent in ranked:
        above[agent] = seen
        seen += agent in drawn
    return _Chances(
        rank={agent: i for i, agent in enumerate(ranked)},
        above=above,
        drawn=frozenset(drawn),
        slot=slot,
        pairs=frozenset(pairs),
    )


@dataclass(frozen=True, slots=True)
class _Chances(Generic[A]):
    """The distribution of a ranked agent's index over both draws, in closed form."""

    rank: dict[A, int]
    above: dict[A, int]
    drawn: frozenset[A]
    slot: int | None
    pairs: frozenset[int]

    def __call__(self, agent: A, index: int) -> float:
        """Chance that the agent stands at the index, outside the New slot."""
        total = 0.0
        for base, chance in self._before_swap(agent):
            total += chance * self._after_swap(base, index)
        return min(total, 1.0)

    def _before_swap(self, agent: A) -> list[tuple[int, float]]:
        """Whoever is drawn from above an agent lifts it by one;

        The New slot pushes down all from there on.
        """
        rank, n = self.rank[agent], len(self.drawn)
        if self.slot is None:
            return [(rank, 1.0)]
        above = self.above[agent]
        below = n - above - (agent in self.drawn)
        return [(self._pushed(rank - 1), above / n), (self._pushed(rank), below / n)]

    def _pushed(self, index: int) -> int:
        return index + 1 if self.slot is not None and index >= self.slot else index

    def _after_swap(self, base: int, index: int) -> float:
        if not self.pairs:
            return float(base == index)
        each = SWAP_SHARE / len(self.pairs)
        if base == index:
            return 1 - each * ((base in self.pairs) + (base - 1 in self.pairs))
        return each if abs(base - index) == 1 and min(base, index) in self.pairs else 0.0
