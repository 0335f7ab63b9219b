"""What the concierge says. Every number in it was found or told by the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from concierge.candidates import Candidate
from concierge.choosing import Role
from concierge.understanding import Wish

if TYPE_CHECKING:
    from concierge.bargaining import Bargain
    from concierge.showing import Shown

QUESTION = "Happy to help. What are you looking for, and is there a price it should stay under?"
ASK_AGAIN = (
    "I need at least a word for what it should be, such as “running shoes” or “a birthday gift under $40”."
)
AWAY = "I can't reach the catalogue at the moment. Please try again in a minute."
NOTHING = (
    "I found nothing in the catalogue that fits. Could you say it in other words, or leave something out?"
)
NO_BARGAIN = "So there is nothing within your limit. Shall I raise it, or look for something else?"
_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£"}
_NO_MINOR = frozenset({"JPY", "KRW", "CLP", "VND"})


def money(minor: int, currency: str) -> str:
    """`1299, "USD"` → `$12.99`."""
    number = f"{minor:,}" if currency in _NO_MINOR else f"{minor / 100:,.2f}"
    symbol = _SYMBOLS.get(currency)
    return f"{symbol}{number}" if symbol else f"{number} {currency}"


def opening(wish: Wish, currency: str) -> str:
    """What was understood, so that a misunderstanding shows at once."""
    what = f"“{wish.query}”" if wish.query else "something"
    limits = list[str]()
    if wish.budget.least is not None:
        limits.append(f"from {money(wish.budget.least, currency)}")
    if wish.budget.most is not None:
        limits.append(f"up to {money(wish.budget.most, currency)}")
    if wish.sizes:
        limits.append(f"in size {', '.join(wish.sizes)}")
    if wish.avoid:
        limits.append(f"without {' or '.join(wish.avoid)}")
    return f"Looking for {what}{' ' + ', '.join(limits) if limits else ''}. "


def reason(role: Role, candidate: Candidate, among: int, wish: Wish) -> str:
    """Why this one, in a sentence beside its card. No price: the store draws that itself."""
    if role is Role.BEST_PRICE and among > 1:
        told = f"The lowest price of the {among} products I compared for you."
    elif role is Role.BEST_RATED and candidate.rating is not None:
        count = candidate.product.rating_count
        shoppers = f"{count:,} shopper{'s' if count != 1 else ''}"
        told = f"Rated {candidate.rating:.1f} of 5 by {shoppers}, the best that fits."
    elif role is Role.ALTERNATIVE:
        told = "Another one that fits, if the others are not quite it."
    else:
        told = "The closest match to what you asked for."
    details = [*candidate.options, *candidate.has]
    named = f" It names {_listed(details[:4])}." if details else ""
    lacking = [option for option in wish.options if option not in candidate.options]
    lacking += [word for word in wish.kinds if word not in candidate.has]
    missing = f" It does not say {_listed(lacking[:3], 'or')}." if lacking else ""
    return told + named + missing


def comparison(shown: Sequence[Shown], currency: str) -> str:
    """What tells the shown ones apart. Prices are those that the store showed, in minor units."""
    first = shown[0]
    seller = f" from {first.candidate.variant.seller}" if first.candidate.variant.seller else ""
    begun = f"My {first.role.value} is {title(first.candidate)} at {money(first.price, currency)}{seller}."
    return " ".join([begun, *(_beside(other, first, currency) for other in shown[1:])])


def bargained(tried: Bargain, most: int | None, currency: str) -> str:
    """What came of asking for a better price."""
    candidate = tried.candidate
    seller = candidate.variant.seller or "The merchant"
    if tried.agreed is not None:
        return (
            f"{seller} agreed to {money(tried.agreed, currency)} instead of {money(candidate.price, currency)} for "
            f"{title(candidate)}. Your cart takes that price by itself; the card says how long it holds. "
        )
    if tried.asked is None or tried.asked >= candidate.price:
        return f"{seller} does not negotiate about {title(candidate)}. "
    beyond = ", which is over your limit" if most is not None and tried.asked > most else ""
    return f"{seller} went no lower than {money(tried.asked, currency)} for {title(candidate)}{beyond}. "


def nothing_within(cheapest: Candidate, wish: Wish, currency: str) -> str:
    """Honest words when the limit is the obstacle."""
    least, most = wish.budget.least, wish.budget.most
    price = money(cheapest.price, currency)
    if most is not None and cheapest.price > most:
        return (
            f"Nothing that fits costs {money(most, currency)} or less. The cheapest that matches is "
            f"{title(cheapest)} at {price}. Shall I raise the limit, or look for something else?"
        )
    limit = money(least, currency) if least is not None else "your limits"
    return f"Nothing that fits starts at {limit}; the nearest is {title(cheapest)} at {price}. Would that do?"


def only_near(near: Candidate, wish: Wish, currency: str) -> str:
    """Honest words when nothing names what was asked for. Nothing is recommended then."""
    what = _listed([f"“{word}”" for word in wish.kinds[:4]])
    return (
        f"Nothing in the catalogue names {what}, so I show you nothing. The nearest is {title(near)} at "
        f"{money(near.price, currency)}. Shall I look for something like it, or for something else?"
    )


def title(candidate: Candidate) -> str:
    """The product's name, short enough to say."""
    name = candidate.product.title.strip()
    return name if len(name) <= 70 else name[:70].rsplit(" ", 1)[0] + "…"


def _beside(other: Shown, first: Shown, currency: str) -> str:
    candidate, difference = other.candidate, other.price - first.price
    name = title(candidate)
    if name == title(first.candidate) and candidate.variant.seller:
        name += f" from {candidate.variant.seller}"
    price = f"costs {money(abs(difference), currency)} {'less' if difference < 0 else 'more'}"
    if not difference:
        price = "costs the same"
    extra = ""
    rating, best = candidate.rating, first.candidate.rating
    if rating is not None and (best is None or rating > best):
        extra = f" and is rated {rating:.1f} of 5"
    elif len(candidate.has) < len(first.candidate.has):
        names = f"{len(candidate.has)} of {len(first.candidate.has)}"
        extra = f", though it names fewer of the things you asked for ({names})"
    subject = "Another that fits is" if other.role is Role.ALTERNATIVE else f"The {other.role.value} is"
    return f"{subject} {name}, which {price}{extra}."


def _listed(words: Sequence[str], last: str = "and") -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"
