"""Opening and ending checkouts: what was shown is what is paid, and stock goes and comes back once."""

import threading
from datetime import timedelta

import pytest
from django.db import connection

from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict, NotFound
from billing.processor.errors import ProcessorUnavailable
from marketplace.catalog.models import Offer
from marketplace.shopping import carts, checkouts, paying
from marketplace.shopping.models import Checkout, Order, Shopper
from tests.cast import person
from tests.orders.world import HOME, check_out, pay, sell, usd


def stock(offer: Offer) -> int:
    return int(Offer.objects.values_list("stock", flat=True).get(pk=offer.pk))


def open_again(shopper, total):
    return checkouts.start_checkout(shopper=shopper, by=shopper.user, address=HOME, agreed_total=total)


def test_opening_takes_stock_and_makes_one_order_per_merchant(shopper, headphones, mia):
    from agentstore.identity.services import create_organization

    kettle = sell(create_organization(kind="merchant", name="Kitchen Co", owner=mia), "Kettle", "20.50")
    checkout = check_out(shopper, headphones, kettle, quantity=2)
    assert checkout.total == usd("239")
    assert (stock(headphones), stock(kettle)) == (3, 3)
    orders = {o.merchant.name: o for o in checkout.orders.all()}
    assert {name: o.total for name, o in orders.items()} == {
        "Audio Haus": usd("198"),
        "Kitchen Co": usd("41"),
    }
    assert orders["Kitchen Co"].ship_to["city"] == "Springfield"
    assert [c.to_status for c in orders["Kitchen Co"].status_changes.all()] == ["pending"]
    assert carts.read_cart(shopper).count == 4, "the cart is kept until the payment is there"


def test_a_total_that_was_not_shown_is_not_charged(shopper, headphones):
    carts.add_to_cart(shopper=shopper, offer_id=headphones.pk)
    Offer.objects.update(price_micros=usd("120").micros)
    with pytest.raises(checkouts.CartChanged):
        open_again(shopper, usd("99"))
    assert stock(headphones) == 5
    assert open_again(shopper, usd("120")).total == usd("120")


def test_an_empty_cart_is_not_checked_out(shopper):
    with pytest.raises(checkouts.CartChanged):
        open_again(shopper, usd("0"))


def test_one_refused_line_takes_no_stock_of_the_others(shopper, headphones, merchant):
    kettle = sell(merchant, "Kettle", "20", ships_to=["DE"])
    for offer in (headphones, kettle):
        carts.add_to_cart(shopper=shopper, offer_id=offer.pk)
    with pytest.raises(checkouts.DoesNotShip, match="does not ship Kettle to US"):
        open_again(shopper, usd("119"))
    assert (stock(headphones), stock(kettle)) == (5, 5)
    assert not Order.objects.exists()


def test_an_age_limit_needs_a_year_of_birth_that_is_surely_long_enough_ago(shopper, merchant):
    wine = sell(merchant, "Wine", "12", min_age=21)
    carts.add_to_cart(shopper=shopper, offer_id=wine.pk)
    for year in (None, now().year - 21):
        shopper.birth_year = year
        with pytest.raises(checkouts.AgeRestricted):
            open_again(shopper, usd("12"))
    shopper.birth_year = now().year - 22
    assert open_again(shopper, usd("12")).total == usd("12")


def test_a_second_tab_replaces_the_first_ones_checkout(shopper, headphones, processor):
    first = check_out(shopper, headphones)
    paying.ensure_payment(checkout_id=first.pk)
    second = open_again(shopper, first.total)
    first.refresh_from_db()
    assert (first.status, second.status) == ("cancelled", "open")
    assert stock(headphones) == 4
    with pytest.raises(checkouts.CheckoutClosed):
        pay(first)
    assert pay(second).taken


def test_a_second_tab_cannot_give_up_what_was_just_paid(shopper, headphones, processor):
    first = check_out(shopper, headphones)
    pay(first)
    with pytest.raises(checkouts.PaymentUnderWay):
        open_again(shopper, first.total)
    processor.deliver()
    first.refresh_from_db()
    assert first.status == "paid"
    assert stock(headphones) == 4


def test_an_expired_checkout_returns_its_stock_once_and_can_never_be_paid(shopper, headphones, processor):
    checkout = check_out(shopper, headphones, quantity=2)
    payment = paying.ensure_payment(checkout_id=checkout.pk)
    assert checkouts.expire_checkouts() == 0
    Checkout.objects.update(expires_at=now() - timedelta(seconds=1))
    assert (checkouts.expire_checkouts(), checkouts.expire_checkouts()) == (1, 0)
    assert "payment_intent.canceled" in processor.deliver()
    assert stock(headphones) == 5
    checkout.refresh_from_db()
    assert checkout.status == "expired"
    assert [c.to_status for c in checkout.status_changes.all()] == ["open", "expired"]
    assert checkout.orders.get().status == "cancelled"
    with pytest.raises(checkouts.CheckoutClosed):
        pay(checkout)
    assert payment.id


def test_a_checkout_waits_while_the_processor_is_away(shopper, headphones, processor, settings):
    checkout = check_out(shopper, headphones)
    paying.ensure_payment(checkout_id=checkout.pk)
    Checkout.objects.update(expires_at=now() - timedelta(seconds=1))
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    assert checkouts.expire_checkouts() == 0
    with pytest.raises(ProcessorUnavailable):
        checkouts.give_up_checkout(checkout_id=checkout.pk, by=None, reason="test")
    assert stock(headphones) == 4


def test_a_payment_is_asked_for_once_even_when_its_answer_was_lost(shopper, headphones, processor):
    checkout = check_out(shopper, headphones)
    first = paying.ensure_payment(checkout_id=checkout.pk)
    Checkout.objects.update(payment_ref="")  # killed between the processor's answer and our commit
    assert paying.ensure_payment(checkout_id=checkout.pk).id == first.id
    assert Checkout.objects.get().payment_ref == first.id


def test_charlie_does_not_find_it(shopper, headphones, charlie):
    checkout = check_out(shopper, headphones)
    assert checkouts.checkout_of(shopper.user, checkout.pk) == checkout
    with pytest.raises(NotFound):
        checkouts.checkout_of(charlie, checkout.pk)


@pytest.mark.django_db(transaction=True)
def test_of_64_buyers_of_the_last_one_a_single_one_gets_it(merchant):
    """A feed that says again what the merchant has comes in between, and sells nothing twice."""
    offer = sell(merchant, "Last one", "10", stock=1)
    shoppers = [Shopper.objects.create(user=person(f"Buyer{i}")) for i in range(64)]
    for shopper in shoppers:
        carts.add_to_cart(shopper=shopper, offer_id=offer.pk)
    results: list[str] = []
    together = threading.Barrier(65)

    def buy(shopper: Shopper) -> None:
        assert shopper.user
        together.wait()
        try:
            checkouts.open_checkout(shopper=shopper, by=shopper.user, address=HOME, agreed_total=usd("10"))
            results.append("bought")
        except Conflict as refused:
            results.append(refused.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=buy, args=(shopper,)) for shopper in shoppers]
    for thread in threads:
        thread.start()
    together.wait()
    for _ in range(20):
        Offer.objects.filter(pk=offer.pk).update(on_hand=1)
    for thread in threads:
        thread.join(30)
    assert results.count("bought") == 1
    assert len(results) == 64
    assert set(results) <= {"bought", "cart_changed", "out_of_stock"}
    assert stock(offer) == 0
    assert Checkout.objects.count() == Order.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_tabs_at_once_open_one_checkout(sam, merchant):
    offer = sell(merchant, "Headphones", "10", stock=9)
    shopper = Shopper.objects.create(user=sam)
    carts.add_to_cart(shopper=shopper, offer_id=offer.pk)
    outcomes: list[str] = []

    def tab() -> None:
        try:
            checkouts.open_checkout(shopper=shopper, by=sam, address=HOME, agreed_total=usd("10"))
            outcomes.append("opened")
        except Conflict as refused:
            outcomes.append(refused.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=tab) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes) == ["conflict"] * 3 + ["opened"]
    assert stock(offer) == 8
