"""Which of the candidates to show, and as what: the best match, the best price, the best rated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from concierge.candidates import Candidate
from concierge.understanding import Wish

# What fits less than this share of the best fit is not compared by price or rating: cheap and beside the
# point.
_COMPARABLE = 0.65
# A rating counts as much as this many ratings of the average; one enthusiast makes no best rated.
_PRIOR_RATINGS, _PRIOR_RATING = 8, 3.8


class Role(Enum):
    """Why a candidate is shown."""

    BEST_MATCH = "best match"
    BEST_PRICE = "best price"
    BEST_RATED = "best rated"
    ALTERNATIVE = "alternative"


@dataclass(frozen=True)
class Choice:
    """A candidate in its role."""

    role: Role
    candidate: Candidate


def roles_for(wish: Wish, candidates: Sequence[Candidate]) -> list[Role]:
    """The roles worth filling, the one the shopper asked for first."""
    rated = any(candidate.rating is not None for candidate in comparable(candidates))
    roles = [Role.BEST_MATCH, Role.BEST_PRICE, Role.BEST_RATED if rated else Role.ALTERNATIVE]
    if wish.cheapest_first:
        roles.sort(key=lambda role: role is not Role.BEST_PRICE)
    elif wish.best_rated_first and rated:
        roles.sort(key=lambda role: role is not Role.BEST_RATED)
    return roles


def comparable(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that fit nearly as well as the best one."""
    best = max((candidate.fit for candidate in candidates), default=0.0)
    return [candidate for candidate in candidates if candidate.fit >= _COMPARABLE * best]


def in_order(role: Role, candidates: Sequence[Candidate]) -> Iterator[Candidate]:
    """Candidates for a role, the best first: the next one is tried when the store refuses the one before."""
    if role in (Role.BEST_MATCH, Role.ALTERNATIVE):
        yield from sorted(candidates, key=lambda c: -c.fit)
        return
    near = comparable(candidates)
    if role is Role.BEST_PRICE:
        yield from sorted(near, key=lambda c: (c.price, -c.fit))
    else:
        yield from sorted((c for c in near if c.rating is not None), key=lambda c: (-_weighed(c), -c.fit))


def _weighed(candidate: Candidate) -> float:
    """The rating drawn towards the average as far as it rests on few shoppers."""
    count = candidate.product.rating_count
    return ((candidate.rating or 0) * count + _PRIOR_RATING * _PRIOR_RATINGS) / (count + _PRIOR_RATINGS)
