"""UCP's discount extension: negotiated prices that a buyer hands to a platform as codes.

A code is told to its shopper alone, and is secret. A signed-in shopper's code counts for a buyer with that shopper's
e-mail address; a guest, of whom no address is known, has nothing but the code.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from agentstore.kit.clock import now
from agentstore.kit.errors import Invalid
from agentstore.kit.money import Money
from marketplace.catalog.offers import OfferFact
from marketplace.shopping.models import OrderLine, Quote, UcpOwned
from marketplace.shopping.quotes import Quotes, split_line
from marketplace.shopping.ucp.lines import Applied, Line, Priced, loaded, message, price_lines
from marketplace.shopping.ucp.negotiation import DISCOUNT, is_active

Json = dict[str, Any]
_MOST_CODES: Final = 20
_LONGEST_CODE: Final = 100


class InvalidCodes(Invalid):
    """The discounts are not what UCP's schema asks for."""

    code = "invalid_request"


@dataclass(frozen=True, slots=True)
class Offered:
    """A code as it was sent, its place among them, and its quote."""

    code: str
    place: int
    quote: Quote


def read_codes(given: Any, *, before: Sequence[str] = ()) -> list[str]:
    """The codes of a request's `discounts`; those of before where it says nothing of them. Raises InvalidCodes."""
    if given is None or (isinstance(given, dict) and "codes" not in given):
        return list(before)
    codes = given["codes"] if isinstance(given, dict) else None
    if not isinstance(codes, list) or len(codes) > _MOST_CODES:
        raise InvalidCodes(f"discounts.codes is a list of at most {_MOST_CODES} codes.")
    if not all(isinstance(code, str) and 0 < len(code) <= _LONGEST_CODE for code in codes):
        raise InvalidCodes(f"A discount code is a text of at most {_LONGEST_CODE} characters.")
    return codes


def price_owned(owned: UcpOwned) -> Priced:
    """A cart's or checkout's lines at prices of now, with what its codes take off."""
    return price_with(loaded(owned.lines), codes=owned.codes, buyer=owned.buyer)


def price_with(lines: Sequence[Line], *, codes: Sequence[str], buyer: Mapping[str, Any]) -> Priced:
    """Lines at prices of now, with what codes take off; a warning for each code that takes off nothing."""
    priced = price_lines(lines)
    if not codes or not is_active(DISCOUNT):
        return priced
    offered, told = _find(codes, str(buyer.get("email", "")))
    applied, more = take_off(priced, offered)
    return replace(priced, applied=tuple(applied), rejected=(*told, *more))


def _find(codes: Sequence[str], email: str) -> tuple[list[Offered], list[Json]]:
    keys = [code.strip().upper() for code in codes]
    rows = Quote.objects.filter(code__in=keys).select_related("conversation__shopper__user")
    known = {quote.code: quote for quote in rows}
    offered: list[Offered] = []
    told: list[Json] = []
    for place, (code, key) in enumerate(zip(codes, keys, strict=True)):
        quote = known.get(key)
        if key in keys[:place]:
            told.append(_rejected("already_applied", code, place, "is there twice"))
        elif quote is None:
            told.append(_rejected("invalid", code, place, "is not known"))
        elif refused := _refused(quote, email):
            told.append(_rejected(refused[0], code, place, refused[1]))
        else:
            offered.append(Offered(code, place, quote))
    return offered, told


def _refused(quote: Quote, email: str) -> tuple[str, str] | None:
    """Why this buyer cannot use it, as UCP's code and in words; None when they can."""
    shopper = quote.conversation.shopper
    if shopper is None:
        return "invalid", "is not known"
    if shopper.user is not None and not email:
        return "user_not_logged_in", "needs its shopper's e-mail address (buyer.email)"
    if shopper.user is not None and email.casefold() != shopper.user.email.casefold():
        return "user_ineligible", "is another shopper's"
    if quote.checkout_id is not None:
        return "already_applied", "is used by another checkout"
    if quote.expires_at <= now():
        return "expired", f"expired at {quote.expires_at:%H:%M} UTC"
    return None


def take_off(priced: Priced, offered: Sequence[Offered]) -> tuple[list[Applied], list[Json]]:
    """What codes take off these lines, one for each offer, and a warning for each that takes off nothing. Pure."""
    wanted: dict[int, list[tuple[int, Line, OfferFact]]] = defaultdict(list)
    for place, (line, fact) in enumerate(priced.lines):
        wanted[fact.offer_id].append((place, line, fact))
    applied: list[Applied] = []
    told: list[Json] = []
    for offer_id in dict.fromkeys(each.quote.offer_id for each in offered):
        of_it = [each for each in offered if each.quote.offer_id == offer_id]
        lines = wanted[offer_id]
        used = _use(lines, of_it) if lines else None
        if used is not None:
            applied.append(used)
        told += [
            _unused(each, lines, taken=used is not None)
            for each in of_it
            if used is None or each.quote != used.quote
        ]
    return applied, told


def _use(lines: Sequence[tuple[int, Line, OfferFact]], of_it: Sequence[Offered]) -> Applied | None:
    """What the best of these codes takes off the lines of its offer, the first pieces first."""
    price = lines[0][2].price
    first = split_line(sum(line.quantity for _, line, _ in lines), price, [each.quote for each in of_it])[0]
    if first.quote is None:
        return None
    left, off = first.quantity, []
    for place, line, _ in lines:
        taken = min(left, line.quantity)
        left -= taken
        if taken:
            off.append((place, (price - first.unit) * taken))
    code = next(each.code for each in of_it if each.quote == first.quote)
    return Applied(code, first.quote, lines[0][2].title, tuple(off))


def _unused(each: Offered, lines: Sequence[tuple[int, Line, OfferFact]], *, taken: bool) -> Json:
    if taken:
        return _rejected(
            "combination_disallowed", each.code, each.place, "does not go with another one for the same item"
        )
    if not lines:
        return _rejected("invalid", each.code, each.place, "is for an item that is not here")
    if sum(line.quantity for _, line, _ in lines) < each.quote.least_quantity:
        return _rejected(
            "invalid", each.code, each.place, f"is for {each.quote.least_quantity} or more of its item"
        )
    return _rejected("invalid", each.code, each.place, "takes nothing off: its item costs no more now")


def _rejected(code: str, named: str, place: int, why: str) -> Json:
    told = message(f"discount_code_{code}", f"The code {named} {why}.")
    return {**told, "path": f"$.discounts.codes[{place}]"}


def discounts_object(codes: Sequence[str], applied: Sequence[Applied]) -> Json:
    """UCP's discounts of a cart or checkout: the codes as they were sent, and what counts of them."""
    return {
        "codes": list(codes),
        "applied": [
            {
                "code": each.code,
                "title": f"Negotiated price: {each.title}"[:200],
                "amount": each.amount,
                "method": "each",
                "allocations": [
                    {"path": f"$.line_items[{place}]", "amount": off.minor} for place, off in each.off
                ],
            }
            for each in applied
        ],
    }


def applied_of(codes: Sequence[str], lines: Sequence[OrderLine], currency: str) -> list[Applied]:
    """What counted for a bought checkout, by its order lines as they are shown."""
    # Of one that was sent twice, the first counted.
    sent = {code.strip().upper(): code for code in reversed(codes)}
    return [
        Applied(
            sent.get(line.quote.code or "", line.quote.code or ""), line.quote, line.title,
            ((place, Money(line.saved_micros, currency)),),
        )
        for place, line in enumerate(lines)
        if line.quote is not None
    ]  # fmt: skip


def quotes_of(priced: Priced) -> dict[int, Quotes]:
    """By offer, the quotes that the store's own checkout shall use."""
    return {each.quote.offer_id: Quotes((each.quote,)) for each in priced.applied}
