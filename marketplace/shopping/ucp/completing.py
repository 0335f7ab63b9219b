"""Completing a checkout: a guest's purchase in the store, paid with the platform's token.

The processor is spoken to outside of any transaction. Its own answer to the payment is believed, as its event
is, which finds the purchase settled when it comes.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import structlog
from django.db import transaction

from agentstore.kit.errors import StoreError
from billing.processor.errors import ProcessorUnavailable
from marketplace.shopping import paying, settlement
from marketplace.shopping.carts import add_to_cart
from marketplace.shopping.checkouts import Address, CartChanged, give_up_checkout, open_checkout
from marketplace.shopping.models import Checkout, Shopper, UcpCheckout
from marketplace.shopping.quotes import QuoteGone
from marketplace.shopping.ucp import settling
from marketplace.shopping.ucp.answers import CHECKOUT, Answer, Json, error_message, with_found
from marketplace.shopping.ucp.callers import Caller
from marketplace.shopping.ucp.delivery import complete_address, missing_parts, store_address
from marketplace.shopping.ucp.discounts import price_owned, quotes_of
from marketplace.shopping.ucp.lines import Priced, loaded, total_objects
from marketplace.shopping.ucp.payment import handlers, read_instrument
from marketplace.shopping.ucp.people import read_buyer
from marketplace.shopping.ucp.sessions import SessionClosed, find_checkout, require_open, tell
from marketplace.shopping.ucp.shown import checkout_object

logger = structlog.get_logger(__name__)


def complete_checkout(caller: Caller, request: Json, checkout_id: str) -> Answer:
    """Buy what the checkout holds, at what it costs now, unless that is more than the platform was told.

    Whatever the buyer can mend, a declined card among it, is an answer: the checkout with messages. Raises
    SessionClosed, PaymentRefused, ProcessorUnavailable.
    """
    return with_found(
        CHECKOUT,
        lambda: settling.refresh(find_checkout(caller, checkout_id)),
        lambda checkout: _complete(checkout, request),
    )


def _complete(checkout: UcpCheckout, request: Json) -> Answer:
    if not handlers():
        return tell(_hand_over(checkout))
    token, billing = read_instrument(request.get("payment"))
    claimed = claim_payment(checkout, billing=billing, buyer=read_buyer(request.get("buyer")))
    if claimed.status != UcpCheckout.Status.PAYING:
        return tell(claimed)
    try:
        purchase = open_purchase(claimed)
    except SessionClosed:
        raise
    except StoreError as refused:
        return _reopen(claimed, error_message(refused.code, str(refused)))
    attempt = paying.try_card(checkout_id=purchase, payment_method=token)
    if attempt.taken:
        settlement.settle_paid(checkout_id=purchase)
        return Answer(checkout_object(settling.refresh(claimed)))
    _give_up(purchase)
    if attempt.decline == "authentication_required":
        return _escalate(claimed, attempt.decline, attempt.words)
    told = error_message("payment_declined", attempt.words, severity="recoverable")
    return _reopen(claimed, told)


@transaction.atomic
def claim_payment(checkout: UcpCheckout, *, billing: Mapping[str, Any], buyer: Json) -> UcpCheckout:
    """The checkout on its way to be paid, so that no second request pays too; as it is if it is not ready."""
    locked = require_open(checkout)
    locked.buyer = {**locked.buyer, **buyer}
    locked.destination = complete_address(locked.destination, billing=billing, buyer=locked.buyer)
    locked.messages = []
    priced = price_owned(locked)
    gone = lost_codes(locked, priced)
    rose = has_risen(locked, priced)
    if gone or rose:
        why = f"What {', '.join(gone)} took off counts no more." if gone else "Prices have risen."
        text = f"{why} The total is {priced.total} now."
        locked.messages = [error_message("total_changed", text, severity="recoverable")]
    changed = gone or rose or priced.messages
    ready = priced.lines and not changed and not missing_parts(locked.destination)
    to = UcpCheckout.Status.PAYING if ready else UcpCheckout.Status.OPEN
    settling.move(locked, to=to, reason="sent to be paid" if ready else "not ready to be paid")
    return locked


def lost_codes(checkout: UcpCheckout, priced: Priced) -> list[str]:
    """The codes that counted when the platform was last answered and do no longer."""
    counting = {each.code for each in priced.applied}
    return [code for code in checkout.applied if code not in counting]


def has_risen(checkout: UcpCheckout, priced: Priced) -> bool:
    """Whether the platform was told less."""
    total = total_objects(priced, shipping=True)[-1]["amount"]
    return checkout.told_minor is not None and total > checkout.told_minor


@transaction.atomic
def open_purchase(checkout: UcpCheckout) -> uuid.UUID:
    """The store's own checkout of the same goods, for a shopper of this checkout's own. Raises SessionClosed for a
    request that took so long that its claim was given up: another one may be paying by now.
    """
    if not _is_claimed(_lock(checkout), checkout):
        raise SessionClosed("This attempt to pay took too long.", hint="Read the checkout, then try again.")
    address: Address = store_address(checkout.destination)
    # Each attempt is a shopper of its own: none has an earlier checkout that would have to be ended first.
    shopper = Shopper.objects.create(country=address.country)
    lines = loaded(checkout.lines)
    for line in lines:
        add_to_cart(shopper=shopper, offer_id=line.offer, quantity=line.quantity)
    priced = price_owned(checkout)
    if lost_codes(checkout, priced):
        raise QuoteGone("A discount counts no more.", hint="Read the checkout's new total.")
    if has_risen(checkout, priced):
        raise CartChanged("Prices have just risen.", hint="Read the checkout's new total.")
    purchase: Checkout = open_checkout(
        shopper=shopper, by=None, address=address, agreed_total=priced.total, quotes=quotes_of(priced)
    )
    checkout.shopper, checkout.purchase = shopper, purchase
    checkout.save(update_fields=["shopper", "purchase"])
    return purchase.pk


def _give_up(purchase: uuid.UUID) -> None:
    """Return the stock at once. Where the processor is away, the purchase expires by itself."""
    try:
        give_up_checkout(checkout_id=purchase, by=None, reason="the card was not taken")
    except ProcessorUnavailable as away:
        logger.warning("purchase not given up", checkout=str(purchase), error=str(away))


def _lock(checkout: UcpCheckout) -> UcpCheckout:
    return UcpCheckout.objects.select_for_update(of=("self",)).get(pk=checkout.pk)


def _is_claimed(locked: UcpCheckout, attempt: UcpCheckout) -> bool:
    """Whether it is still this attempt that pays."""
    claim = UcpCheckout.Status.PAYING, attempt.paying_since
    return (locked.status, locked.paying_since) == claim


@transaction.atomic
def _reopen(attempt: UcpCheckout, told: Json) -> Answer:
    """Let another attempt be made. Where one already is, that goes on, and only this answer tells."""
    locked, told = _lock(attempt), {**told, "severity": "recoverable"}
    if not _is_claimed(locked, attempt):
        return Answer(checkout_object(locked, [told]))
    locked.messages = [told]
    locked.purchase = None
    settling.move(locked, to=UcpCheckout.Status.OPEN, reason=f"not paid: {told['code']}")
    return tell(locked)


@transaction.atomic
def _escalate(attempt: UcpCheckout, code: str, text: str) -> Answer:
    """Send the buyer to the store's page, unless a newer attempt is on its way."""
    locked = _lock(attempt)
    if not _is_claimed(locked, attempt):
        return Answer(checkout_object(locked, [error_message(code, text, severity="recoverable")]))
    return tell(_to_buyer(locked, code, text))


@transaction.atomic
def _hand_over(checkout: UcpCheckout) -> UcpCheckout:
    return _to_buyer(require_open(checkout), "payment_handoff", "Pay on the store's own page.")


def _to_buyer(locked: UcpCheckout, code: str, text: str) -> UcpCheckout:
    locked.messages = [error_message(code, text, severity="requires_buyer_input")]
    locked.purchase = None
    settling.move(locked, to=UcpCheckout.Status.ESCALATED, reason=f"handed to the buyer: {code}")
    return locked
