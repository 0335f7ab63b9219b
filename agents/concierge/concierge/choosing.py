"""Which of the candidates to show, and as what: the best match, the best price, the best rated."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from concierge.candidates import Candidate
from concierge.understanding import Wish

# What fits less than this share of the best fit is not compared by price or rating: cheap and beside the
# point.
_COMPARABLE = 0.65
_NAMES_ENOUGH = 0.75
# A rating counts as much as this many ratings of the average; one enthusiast makes no best rated.
_PRIOR_RATINGS, _PRIOR_RATING = 8, 3.8


class Role(Enum):
    """Why a candidate is shown."""

    BEST_MATCH = "best match"
    BEST_PRICE = "best price"
    BEST_RATED = "best rated"
    ALTERNATIVE = "alternative"


def roles_for(wish: Wish, candidates: Sequence[Candidate]) -> list[Role]:
    """The roles worth filling, the one the shopper asked for first; alternatives fill what is left."""
    rated = any(candidate.rating is not None for candidate in comparable(candidates))
    roles = [Role.BEST_MATCH, Role.BEST_PRICE] + ([Role.BEST_RATED] if rated else [])
    if wish.cheapest_first:
        roles.sort(key=lambda role: role is not Role.BEST_PRICE)
    elif wish.best_rated_first and rated:
        roles.sort(key=lambda role: role is not Role.BEST_RATED)
    return [*roles, Role.ALTERNATIVE, Role.ALTERNATIVE]


def relevant(wish: Wish, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that name what is wished for. "A gift" names no kind of thing, so anything may be one."""
    if not wish.kinds:
        return list(candidates)
    kinds = set(wish.kinds)
    return [candidate for candidate in candidates if kinds.intersection(candidate.has)]


def comparable(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that fit nearly as well as the best one and name nearly as much of what was asked for."""
    best = max((candidate.fit for candidate in candidates), default=0.0)
    most = max((len(candidate.has) for candidate in candidates), default=0)
    return [c for c in candidates if c.fit >= _COMPARABLE * best and len(c.has) >= _NAMES_ENOUGH * most]


def first_for(role: Role, candidates: Sequence[Candidate], shown: Sequence[Candidate]) -> Candidate | None:
    """The best candidate for a role. It may be among `shown`, but for an alternative, which is something
    else.
    """
    near = comparable(candidates)
    if role is Role.ALTERNATIVE:
        titles = {candidate.title_key for candidate in shown}
        near = [candidate for candidate in near if candidate.title_key not in titles]
    if role is Role.BEST_RATED:
        near = [candidate for candidate in near if candidate.rating is not None]
        return min(near, key=lambda c: (-_weighed(c), -c.fit), default=None)
    if role is Role.BEST_PRICE:
        return min(near, key=lambda c: (c.price, -c.fit), default=None)
    return max(near, key=lambda c: c.fit, default=None)


def _weighed(candidate: Candidate) -> float:
    """The rating drawn towards the average as far as it rests on few shoppers."""
    count = candidate.product.rating_count
    return ((candidate.rating or 0) * count + _PRIOR_RATING * _PRIOR_RATINGS) / (count + _PRIOR_RATINGS)
