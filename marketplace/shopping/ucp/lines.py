"""Line items: from what a platform asks for to offers, and back to UCP's lines and totals at prices of now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from django.conf import settings

from agentstore.kit.errors import Invalid
from agentstore.kit.ids import MalformedId, parse_public_id
from agentstore.kit.money import Money
from marketplace.catalog.hostile.marks import UNMARKED, Marks, read_marks, warnings_of
from marketplace.catalog.models import Variant
from marketplace.catalog.offers import OfferFact, read_offer, read_offers
from marketplace.catalog.ucp.objects import absolute
from marketplace.shopping.carts import MOST_OF_ONE, problem_with
from marketplace.shopping.models import Quote

MOST_LINES: Final = 50
# The texts that a line has of its product.
_TOLD: Final = ("title", "options", "seller")
Json = dict[str, Any]


class InvalidLines(Invalid):
    """The line items are not what UCP's schema asks for."""

    code = "invalid_request"


@dataclass(frozen=True, slots=True)
class Line:
    """So many of an offer. `item` is the id that the platform asked by: a variant's, or an offer's."""

    id: str
    item: str
    offer: int
    quantity: int


@dataclass(frozen=True, slots=True)
class Applied:
    """A discount code that counts, as it was sent: its quote, its item, and what it takes off lines by their places."""

    code: str
    quote: Quote
    title: str
    off: tuple[tuple[int, Money], ...]

    @property
    def amount(self) -> int:
        """All that it takes off, in minor units as it is shown."""
        return sum(off.minor for _, off in self.off)


@dataclass(frozen=True, slots=True)
class Priced:
    """Lines that can be bought now with their offers, and UCP messages about those that cannot.

    `applied` are the discounts that count, `rejected` warnings about codes that do not.
    """

    lines: tuple[tuple[Line, OfferFact], ...]
    messages: tuple[Json, ...]
    applied: tuple[Applied, ...] = ()
    rejected: tuple[Json, ...] = ()

    @property
    def total(self) -> Money:
        """What all of it costs."""
        micros = sum(fact.price.micros * line.quantity for line, fact in self.lines)
        off = sum(off.micros for each in self.applied for _, off in each.off)
        return Money(micros - off, settings.STORE_CURRENCY)

    def off(self, place: int) -> int:
        """What is taken off the line at a place, in minor units."""
        return sum(off.minor for each in self.applied for at, off in each.off if at == place)


def read_lines(items: Any) -> tuple[list[Line], list[Json]]:
    """Lines from a request's `line_items`, and messages about items that nobody offers.

    A variant stands for its best offer, chosen now and kept. Raises InvalidLines.
    """
    if not isinstance(items, list) or not items:
        raise InvalidLines("line_items is a list of at least one line.")
    if len(items) > MOST_LINES:
        raise InvalidLines(f"A request has at most {MOST_LINES} lines.", hint="Split the purchase.")
    lines: list[Line] = []
    messages: list[Json] = []
    taken: set[str] = set()
    for place, given in enumerate(items):
        item, quantity, name = _wanted(given, place)
        while not name or name in taken:
            name = f"li_{place + 1}" if f"li_{place + 1}" not in taken else f"{name or 'li'}_{len(taken) + 1}"
        taken.add(name)
        offer = _offer(item)
        if offer is None:
            messages.append(message("item_unavailable", f"Nobody offers {item!r:.60}.", place=place))
        else:
            lines.append(Line(name, item, offer, quantity))
    return lines, messages


def _wanted(given: Any, place: int) -> tuple[str, int, str]:
    where = f"line_items.{place}"
    item = given.get("item") if isinstance(given, dict) else None
    wanted = item.get("id") if isinstance(item, dict) else None
    if not isinstance(wanted, str) or not 0 < len(wanted) <= 120:
        raise InvalidLines(f"{where}.item.id names a variant (var_…) or an offer (off_…).")
    quantity = given.get("quantity")
    if isinstance(quantity, bool) or not isinstance(quantity, int) or not 1 <= quantity <= MOST_OF_ONE * 1000:
        raise InvalidLines(f"{where}.quantity is a whole number from 1 on.")
    name = given.get("id")
    return wanted, quantity, name if isinstance(name, str) and len(name) <= 60 else ""


def _offer(item: str) -> int | None:
    """The offer that an item's id stands for: its own, the best of a variant, of a product's only variant."""
    kind, _, _ = item.partition("_")
    try:
        number = parse_public_id(kind, item)
    except MalformedId:
        return None
    if kind == "off":
        return number if read_offers(offer_ids=[number]) else None
    if kind == "prod":
        variants = list(Variant.objects.filter(product_id=number).values_list("pk", flat=True)[:2])
        number = variants[0] if len(variants) == 1 else 0
    fact = read_offer(variant_id=number) if kind in ("var", "prod") else None
    return fact.offer_id if fact else None


def price_lines(lines: Sequence[Line]) -> Priced:
    """The lines at prices and stock of now; what cannot be bought is left out, with a message that says why."""
    facts = read_offers(offer_ids={line.offer for line in lines})
    wanted: dict[int, int] = defaultdict(int)
    bought: list[tuple[Line, OfferFact]] = []
    messages: list[Json] = []
    for place, line in enumerate(lines):
        fact = facts.get(line.offer)
        wanted[line.offer] += line.quantity
        problem = problem_with(fact, wanted[line.offer])
        if not problem and wanted[line.offer] > MOST_OF_ONE:
            problem = f"At most {MOST_OF_ONE} of one item."
        if fact is None or problem:
            sold_out = fact is not None and fact.active and fact.stock < wanted[line.offer]
            text = f"{fact.title if fact else line.item}: {problem}"
            code = "out_of_stock" if sold_out else "item_unavailable"
            messages.append(message(code, text, place=place))
            wanted[line.offer] -= line.quantity
        else:
            bought.append((line, fact))
    return Priced(tuple(bought), tuple(messages))


def line_objects(priced: Priced) -> list[Json]:
    """UCP line items; the seller and the exact offer are the store's own members."""
    return [_line_object(line, fact, priced.off(place)) for place, (line, fact) in enumerate(priced.lines)]


def _line_object(line: Line, fact: OfferFact, off: int) -> Json:
    amount = (fact.price * line.quantity).minor
    item: Json = {"id": line.item, "title": fact.title, "price": fact.price.minor}
    if fact.image_url:
        item["image_url"] = absolute(fact.image_url)
    return {
        "id": line.id,
        "item": item,
        "quantity": line.quantity,
        "totals": line_totals(amount, off),
        "seller": {"name": fact.merchant_name},
        "offer_id": fact.public_ids["offer"],
    }


def line_totals(amount: int, off: int) -> list[Json]:
    """A line's subtotal, what is taken off it, and its total, in minor units."""
    taken = [{"type": "items_discount", "amount": -off}] if off else []
    return [{"type": "subtotal", "amount": amount}, *taken, {"type": "total", "amount": amount - off}]


def title_warnings(priced: Priced) -> list[Json]:
    """Messages of an answer about lines whose titles give orders or press; they keep nothing from being bought."""
    marks = read_marks(ids=[fact.product_id for _, fact in priced.lines])
    told = []
    for place, (line, fact) in enumerate(priced.lines):
        fields = tuple(one for one in marks.get(fact.product_id, UNMARKED).fields if one[0] in _TOLD)
        told.append((f"$.line_items[{place}]", line.item, Marks(fields=fields)))
    return warnings_of(told)


def total_objects(priced: Priced, *, shipping: bool) -> list[Json]:
    """Subtotal, broken down by merchant; discounts; shipping, which no merchant charges for; total."""
    by_merchant: dict[str, int] = defaultdict(int)
    for line, fact in priced.lines:
        by_merchant[fact.merchant_name] += (fact.price * line.quantity).minor
    return merchant_totals(by_merchant, off=sum(each.amount for each in priced.applied), shipping=shipping)


def merchant_totals(by_merchant: Mapping[str, int], *, off: int, shipping: bool) -> list[Json]:
    """Totals from what each merchant's goods come to, and what is taken off, in minor units."""
    # Shown amounts have to add up, so the sum is of what is shown.
    items = sum(by_merchant.values())
    parts = [{"display_text": name, "amount": amount} for name, amount in by_merchant.items()]
    taken = [{"type": "items_discount", "display_text": "Negotiated", "amount": -off}] if off else []
    free = [{"type": "fulfillment", "display_text": "Shipping", "amount": 0}] if shipping else []
    return [
        {"type": "subtotal", "display_text": "Items", "amount": items, "lines": parts},
        *taken,
        *free,
        {"type": "total", "amount": items - off},
    ]


def message(code: str, text: str, *, place: int | None = None, kind: str = "warning") -> Json:
    """A UCP message about a line, or about all."""
    found = {"type": kind, "code": code, "content": text[:500]}
    if kind == "error":
        found["severity"] = "recoverable"
    if place is not None:
        found["path"] = f"$.line_items[{place}]"
    return found


def stored(lines: Iterable[Line]) -> list[Json]:
    """As rows keep lines."""
    return [asdict(line) for line in lines]


def loaded(rows: Iterable[Mapping[str, Any]]) -> list[Line]:
    """Lines as `stored` wrote them."""
    return [Line(**row) for row in rows]
