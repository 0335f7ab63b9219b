"""Buying at a negotiated price: once, for so many, until it expires, and by its own shopper alone."""

from __future__ import annotations

import re
import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st

from agentstore.kit.clock import now
from agentstore.kit.money import Money
from billing.models import UsageEvent
from marketplace.catalog.models import Offer
from marketplace.shopping import carts, checkouts
from marketplace.shopping.models import Attribution, Checkout, OrderLine, Quote, Shopper
from marketplace.shopping.quotes import QuoteGone, split_line, take_quotes
from marketplace.shopping.refunds import issue_refund, send_refund
from tests.conversations.world import until
from tests.database import somebody_waits_for_a_lock
from tests.orders.bargains import agree, allow
from tests.orders.world import HOME, account, books_balance, check_out, pay, show, talk, usd


@pytest.fixture
def conversation(shopper, scout, prices):
    return talk(shopper, scout, prices)


@pytest.fixture
def quote(conversation, headphones) -> Quote:
    """One or two pairs of headphones at $90.00 instead of $99.00."""
    allow(headphones)
    return agree(conversation, headphones, 9000, 2)


def text(answer) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def expire(quote: Quote) -> None:
    Quote.objects.filter(pk=quote.pk).update(expires_at=now() - timedelta(seconds=1))


def lines_of(checkout: Checkout) -> list[tuple[int, int, bool]]:
    lines = OrderLine.objects.filter(order__checkout=checkout).order_by("pk")
    return [(line.quantity, line.unit_price_micros // 10_000, line.quote_id is not None) for line in lines]


def test_what_is_paid_is_the_base_of_tax_and_refund(
    quote, conversation, shopper, headphones, processor, mia, client, sam
):
    checkout = check_out(shopper, show(conversation, headphones), quantity=2)
    assert checkout.total == usd("180.00")
    pay(checkout)
    processor.deliver()
    line = OrderLine.objects.get()
    assert (line.unit_price_micros, line.list_price_micros, line.quote) == (90_000_000, 99_000_000, quote)
    quote.refresh_from_db()
    checkout.refresh_from_db()
    assert (quote.checkout, quote.used_at) == (checkout, checkout.paid_at)
    assert Attribution.objects.get().conversation == conversation
    tax = UsageEvent.objects.get(line_ref=line.ref)
    assert (tax.base_micros, tax.amount_micros) == (180_000_000, 27_000_000)
    client.force_login(sam)
    page = text(client.get(reverse("shopping:order", args=[line.order_id])))
    assert "$90.00 each" in page
    assert "Before: $99.00" in page
    assert "Round 1: $90.00 each for 2 proposed, accepted, at a price of $99.00." in page
    refund = issue_refund(order_id=line.order_id, by=mia, reason="broken", quantities={line.pk: 1})
    assert refund.amount_micros == 90_000_000
    send_refund(refund_id=refund.pk)
    processor.deliver()
    assert sum(event.amount_micros for event in UsageEvent.objects.filter(line_ref=line.ref)) == 13_500_000
    assert books_balance()
    assert account("processor_clearing") != 0


def test_the_cart_shows_the_price_and_until_when(quote, shopper, headphones, client, sam):
    carts.add_to_cart(shopper=shopper, offer_id=headphones.pk, quantity=3)
    client.force_login(sam)
    page = text(client.get("/cart/"))
    assert "Negotiated: 2 at $90.00 each, until" in page
    assert "$279.00" in page


def test_a_quote_never_undercuts_beyond_its_quantity(quote, shopper, headphones):
    checkout = check_out(shopper, headphones, quantity=3)
    assert checkout.total == usd("279.00")
    assert lines_of(checkout) == [(2, 9000, True), (1, 9900, False)]


def test_both_parts_of_a_line_leave_the_cart(quote, shopper, headphones, processor):
    pay(check_out(shopper, headphones, quantity=3))
    processor.deliver()
    assert carts.read_cart(shopper).items == ()
    headphones.refresh_from_db()
    assert headphones.stock == 2


def test_a_discount_for_many_is_not_one_for_few(conversation, shopper, headphones):
    allow(headphones)
    agree(conversation, headphones, 8000, 5)
    carts.add_to_cart(shopper=shopper, offer_id=headphones.pk, quantity=4)
    view = carts.read_cart(shopper)
    assert view.total == usd("396.00")
    assert view.items[0].notice == "$80.00 each was negotiated for 5 or more."
    line = view.items[0].line
    carts.change_quantity(shopper=shopper, line_id=line.pk, quantity=5)
    assert carts.read_cart(shopper).total == usd("400.00")


def test_an_expired_price_falls_back_and_the_shopper_is_told_before_paying(
    quote, shopper, headphones, client, sam
):
    carts.add_to_cart(shopper=shopper, offer_id=headphones.pk)
    agreed = carts.read_cart(shopper).total
    expire(quote)
    client.force_login(sam)
    form = {
        "name": "Sam", "street": "1 Main St", "city": "Springfield", "postal_code": "12345", "country": "US",
        "agreed_micros": agreed.micros,
    }  # fmt: skip
    answer = client.post(reverse("shopping:checkout"), form)
    assert answer.status_code == 409
    assert "The negotiated price of $90.00 is over: $99.00 each now." in text(answer)
    assert not Checkout.objects.exists()
    assert client.post(reverse("shopping:checkout"), form | {"agreed_micros": 99_000_000}).status_code == 302
    assert lines_of(Checkout.objects.get()) == [(1, 9900, False)]


def test_it_is_used_once(quote, shopper, headphones, processor):
    pay(check_out(shopper, headphones))
    processor.deliver()
    carts.add_to_cart(shopper=shopper, offer_id=headphones.pk)
    view = carts.read_cart(shopper)
    assert view.total == usd("99.00")
    assert view.items[0].notice == "The negotiated price of $90.00 is used: $99.00 each now."


def test_a_checkout_that_came_to_nothing_gives_it_back(quote, shopper, headphones, sam, processor):
    first = check_out(shopper, headphones)
    # Opening another one gives the first up.
    assert carts.read_cart(shopper).total == usd("90.00")
    second = checkouts.start_checkout(shopper=shopper, by=sam, address=HOME, agreed_total=usd("90.00"))
    first.refresh_from_db()
    assert (first.status, lines_of(second)) == ("cancelled", [(1, 9000, True)])
    checkouts.give_up_checkout(checkout_id=second.pk, by=sam, reason="changed my mind")
    quote.refresh_from_db()
    assert (quote.checkout, quote.used_at) == (None, None)


def test_the_cart_leads_to_the_checkout_that_keeps_it(
    quote, shopper, headphones, client, sam, charlie, processor
):
    """Its pieces and its price look gone from the cart meanwhile: they are only the checkout's."""
    Offer.objects.filter(pk=headphones.pk).update(on_hand=1)
    waiting = check_out(shopper, headphones)
    expire(quote)
    client.force_login(sam)
    page = client.get("/cart/")
    assert "This is out of stock." in text(page)
    assert "A checkout of $90.00 waits for your payment." in text(page)
    assert reverse("shopping:checkout-pay", args=[waiting.pk]) in page.content.decode()
    client.post(reverse("shopping:checkout-give-up", args=[waiting.pk]))
    page = text(client.get("/cart/"))
    assert ("waits for your payment" in page, "out of stock" in page) == (False, False)
    client.force_login(charlie)
    assert "waits for your payment" not in text(client.get("/cart/"))


def test_a_price_that_fell_below_it_counts(quote, shopper, headphones):
    Offer.objects.filter(pk=headphones.pk).update(price_micros=85_000_000)
    assert lines_of(check_out(shopper, headphones)) == [(1, 8500, False)]


def test_an_offer_in_another_currency_since_is_not_sold_and_every_page_says_so(
    quote, conversation, shopper, headphones, client, sam
):
    carts.add_to_cart(shopper=shopper, offer_id=headphones.pk)
    Offer.objects.filter(pk=headphones.pk).update(currency="EUR")
    client.force_login(sam)
    for expires_at in (quote.expires_at, now()):
        Quote.objects.update(expires_at=expires_at)
        cart = text(client.get("/cart/"))
        assert ("This store takes USD only." in cart, "egotiated" in cart) == (True, False)
        chat = client.get(reverse("shopping:chat-round", args=[conversation.pk, quote.round_id]))
        assert "This price is" in text(chat)


def test_where_the_price_fell_below_it_the_conversation_asks_for_no_more(
    quote, conversation, headphones, client, sam
):
    client.force_login(sam)
    page = reverse("shopping:chat-round", args=[conversation.pk, quote.round_id])
    assert "Add 2 to cart at $90.00 each" in text(client.get(page))
    Offer.objects.filter(pk=headphones.pk).update(price_micros=85_000_000)
    shown = text(client.get(page))
    assert "This price is not needed: the item is $85.00 now." in shown
    assert "Add" not in shown
    assert quote.code not in shown


def test_a_refunds_form_tells_the_parts_of_a_line_apart(quote, shopper, headphones, processor, client, sam):
    checkout = check_out(shopper, headphones, quantity=3)
    pay(checkout)
    processor.deliver()
    client.force_login(sam)
    page = text(client.get(reverse("shopping:order", args=[checkout.orders.get().pk])))
    assert "Headphones, $90.00 each" in page
    assert "Headphones, $99.00 each" in page


def test_a_price_that_rose_does_not_change_what_was_agreed_on(quote, shopper, headphones):
    Offer.objects.filter(pk=headphones.pk).update(price_micros=120_000_000)
    checkout = check_out(shopper, headphones)
    assert lines_of(checkout) == [(1, 9000, True)]
    assert OrderLine.objects.get().list_price_micros == 120_000_000


def test_what_is_sold_out_since_is_not_sold(quote, shopper, headphones):
    carts.add_to_cart(shopper=shopper, offer_id=headphones.pk)
    Offer.objects.filter(pk=headphones.pk).update(on_hand=0)
    with pytest.raises(checkouts.CartChanged, match="out of stock"):
        checkouts.open_checkout(shopper=shopper, by=None, address=HOME, agreed_total=usd("90.00"))


def test_charlie_gets_none_of_it(quote, scout, headphones, prices, client, charlie, conversation):
    theirs = Shopper.objects.create(user=charlie)
    talk(theirs, scout, prices)
    carts.add_to_cart(shopper=theirs, offer_id=headphones.pk)
    view = carts.read_cart(theirs)
    assert (view.total, view.items[0].notice) == (usd("99.00"), "")
    with pytest.raises(checkouts.CartChanged):
        checkouts.open_checkout(shopper=theirs, by=charlie, address=HOME, agreed_total=usd("90.00"))
    client.force_login(charlie)
    address = reverse("shopping:chat-round", args=[conversation.pk, quote.round_id])
    assert client.get(address).status_code == 404


def test_nothing_but_a_quote_goes_below_the_offers_price(quote, shopper, headphones):
    check_out(shopper, headphones)
    with pytest.raises(IntegrityError), transaction.atomic():
        OrderLine.objects.update(quote=None)


def buyer() -> Checkout:
    return Checkout.objects.create(
        shopper=Shopper.objects.create(), currency="USD", total_micros=1, expires_at=now()
    )


@pytest.mark.django_db(transaction=True)
def test_of_two_checkouts_at_once_one_has_it(quote):
    """The second one comes while the first has the quote and is not done; it waits, and is refused."""
    first, second = buyer(), buyer()
    refused: list[QuoteGone] = []

    def take_too() -> None:
        try:
            with transaction.atomic():
                take_quotes(checkout=second, quotes=[quote])
        except QuoteGone as gone:
            refused.append(gone)
        finally:
            connection.close()

    late = threading.Thread(target=take_too)
    with transaction.atomic():
        take_quotes(checkout=first, quotes=[quote])
        late.start()
        until(somebody_waits_for_a_lock)
    late.join()
    quote.refresh_from_db()
    assert (quote.checkout, len(refused)) == (first, 1)


cents = st.integers(1, 2_000_00)


@st.composite
def held(draw):
    least = draw(st.integers(1, 20))
    return Quote(
        unit_price_micros=draw(cents) * 10_000, least_quantity=least, currency="USD",
        quantity=least + draw(st.integers(0, 20)), made_at=now(),
    )  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(price=cents, quantity=st.integers(1, 99), quotes=st.lists(held(), max_size=4))
def test_parts_add_up_and_no_quote_goes_too_far(price, quantity, quotes):
    price = Money.from_minor(price, "USD")
    parts = split_line(quantity, price, quotes)
    assert sum(part.quantity for part in parts) == quantity
    total = sum(part.total.micros for part in parts)
    assert total % 10_000 == 0
    saved = [(price.micros - part.unit.micros) * part.quantity for part in parts if part.quote]
    assert total == price.micros * quantity - sum(saved)
    assert len(saved) <= 1
    for part in parts:
        if part.quote is None:
            assert part.unit == price
        else:
            assert part.unit == part.quote.unit_price < price
            assert part.quote.least_quantity <= part.quantity <= part.quote.quantity
    for quote in quotes:
        if quote.least_quantity <= quantity:
            assert total <= min(quantity, quote.quantity) * quote.unit_price_micros + price.micros * max(
                0, quantity - quote.quantity
            )
