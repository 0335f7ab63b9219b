"""One turn: understand, search, compare, recommend, and say what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from agentstore_sdk import Product, Refused, Store, Turn, Unreachable

from concierge import wording
from concierge.budget import Budget
from concierge.candidates import Candidate, judge
from concierge.choosing import Role, comparable, in_order, roles_for
from concierge.understanding import Wish, understand

_PER_SEARCH = 20
_MOST_REFUSALS = 8
# Refusals that hold for the turn, whatever is tried next.
_FINAL = frozenset({"too_many", "too_many_calls", "no_turn", "not_permitted"})


def answer(turn: Turn) -> Iterator[str]:
    """The concierge's words for one message, piece by piece; cards appear as it recommends."""
    wish = understand(turn.prompt, turn.earlier)
    if wish.is_empty:
        asked = any(wording.QUESTION in message.get("content", "") for message in turn.messages)
        yield wording.ASK_AGAIN if asked else wording.QUESTION
        return
    yield wording.opening(wish, turn.currency)
    try:
        yield from _shop(turn, wish)
    except Unreachable:
        yield wording.AWAY


def _shop(turn: Turn, wish: Wish) -> Iterator[str]:
    candidates = retrieve(turn.store, wish, turn.currency)
    if not candidates:
        yield _nothing(turn, wish)
        return
    shown = list(_recommended(turn.store, wish, candidates))
    if not shown:
        yield wording.NOTHING
        return
    yield wording.comparison(shown, turn.currency)
    if wish.quantity > 1:
        total = wording.money(shown[0][2] * wish.quantity, turn.currency)
        yield f" For {wish.quantity} of the first that is {total} in total."
    if len(shown) == 1:
        yield " It is the only one that fits."


def retrieve(store: Store, wish: Wish, currency: str, *, ignore_budget: bool = False) -> list[Candidate]:
    """Candidates for the wish. When all words together find nothing, fewer of them are tried."""
    if ignore_budget:
        wish = replace(wish, budget=Budget())
    least, most = wish.budget.least, wish.budget.most
    for query in _queries(wish):
        found = store.search_catalog(
            query, min_price=least, max_price=most, currency=currency, limit=_PER_SEARCH
        )
        if candidates := judge(wish, _once(found.products)):
            return candidates
    return []


def _queries(wish: Wish) -> Iterator[str]:
    yield wish.query
    if len(wish.words) > 3:
        # What a request is about tends to stand at its end ("… gluten free original flavored chips").
        yield " ".join(wish.words[-3:])
    if len(wish.words) > 1:
        yield wish.words[-1]
        yield wish.words[0]


def _recommended(
    store: Store, wish: Wish, candidates: list[Candidate]
) -> Iterator[tuple[Role, Candidate, int]]:
    """Fill each role with the first candidate that the store lets be shown; its price is the store's word."""
    taken = set[str]()
    refusals = 0
    among = len(comparable(candidates))
    for role in roles_for(wish, candidates):
        for candidate in in_order(role, candidates):
            if candidate.product.id in taken:
                continue
            taken.add(candidate.product.id)
            try:
                card = store.recommend(
                    candidate.variant.id, reason=wording.reason(role, candidate, among, wish)
                )
            except Refused as refused:
                refusals += 1
                if refused.code in _FINAL or refusals >= _MOST_REFUSALS:
                    return
                continue
            price = (card.get("price") or {}).get("amount")
            yield role, candidate, candidate.price if price is None else int(price)
            break


def _nothing(turn: Turn, wish: Wish) -> str:
    if wish.budget:
        beyond = comparable(retrieve(turn.store, wish, turn.currency, ignore_budget=True))
        if beyond:
            cheapest = min(beyond, key=lambda candidate: candidate.price)
            return wording.nothing_within(cheapest, wish, turn.currency)
    return wording.NOTHING


def _once(found: list[Product]) -> list[Product]:
    return list({product.id: product for product in found}.values())
