"""Recommends each role's best to the store, and the next one when the store refuses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agentstore_sdk import Refused, Store

from concierge import wording
from concierge.candidates import Candidate
from concierge.choosing import Role, comparable, first_for, roles_for
from concierge.understanding import Wish

_MOST_CARDS = 3
_MOST_REFUSALS = 8
# Refusals that hold for the turn, whatever is tried next.
_FINAL = frozenset({"too_many", "too_many_calls", "no_turn", "not_permitted"})


@dataclass(frozen=True)
class Shown:
    """A card on the shopper's page; `price` is the store's word, in minor units."""

    role: Role
    candidate: Candidate
    price: int


def show_best(store: Store, wish: Wish, candidates: Sequence[Candidate]) -> Iterator[Shown]:
    """Fill the roles, at most three cards. A role whose best is shown already is not filled with a second
    best, since "the lowest price" would then be a lie.
    """
    left = list(candidates)
    shown = list[Candidate]()
    refusals = 0
    for role in roles_for(wish, candidates):
        while len(shown) < _MOST_CARDS and (best := first_for(role, left, shown)) is not None:
            if best in shown:
                break
            reason = wording.reason(role, best, len(comparable(left)), wish)
            try:
                card = store.recommend(best.variant.id, reason=reason)
            except Refused as refused:
                refusals += 1
                if refused.code in _FINAL or refusals >= _MOST_REFUSALS:
                    return
                left.remove(best)
                continue
            shown.append(best)
            price = (card.get("price") or {}).get("amount")
            yield Shown(role, best, best.price if price is None else int(price))
            break
