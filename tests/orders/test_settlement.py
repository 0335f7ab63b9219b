"""From the processor's events to orders, attribution, ledger and ranking, each exactly once."""

from datetime import timedelta

import pytest
import time_machine
from django.db import connection, transaction

from agentstore.kit.clock import now
from billing.models import Journal, UsageEvent, WebhookEvent
from billing.pricing import Terms, announce_prices, draft_prices
from marketplace.catalog.models import Offer
from marketplace.ranking.models import Conversion
from marketplace.shopping import carts, checkouts, paying, settlement
from marketplace.shopping.models import Attribution, Checkout, Conversation, Order, Refund
from tests.orders.world import account, books_balance, check_out, pay, sell, show, talk, usd

# $99.00: the processor keeps 2.9 % + 30 c = 3.17; the tax is 15 % = 14.85, of which 70 % = 10.395 is the
# studio's.
SALE, FEE, TAX, SHARE = 99_000_000, 3_170_000, 14_850_000, 10_395_000


def assert_sold_once(merchant, studio):
    assert account("processor_clearing") == SALE - FEE
    assert account("processor_fees") == FEE
    assert account("merchant_wallet", merchant.ref) == -(SALE - TAX)
    assert account("developer_pending", studio.ref) == -SHARE
    assert account("platform_revenue") == -(TAX - SHARE)
    assert books_balance()


def test_a_sale_from_a_card(shopper, card, processor, merchant, studio):
    checkout = check_out(shopper, card)
    assert pay(checkout).taken
    checkout.refresh_from_db()
    assert checkout.status == "open", "the browser's return settles nothing"
    assert "payment_intent.succeeded" in processor.deliver()

    order = Order.objects.get()
    assert (order.status, order.checkout.status) == ("paid", "paid")
    assert order.paid_at
    assert [c.to_status for c in order.status_changes.all()] == ["pending", "paid"]
    credit = Attribution.objects.get()
    assert (credit.recommendation, credit.rule) == (card, "card")
    assert_sold_once(merchant, studio)
    tax = UsageEvent.objects.get(kind="agent_tax")
    assert (tax.conversation_ref, tax.line_ref) == (str(card.conversation_id), order.lines.get().ref)
    conversion = Conversion.objects.get()
    assert (conversion.agent_id, conversion.status) == (card.conversation.agent_id, "pending")
    assert conversion.exposure_id == card.conversation.exposure_id
    assert conversion.matures_at - conversion.occurred_at == timedelta(days=30)
    assert carts.read_cart(shopper).count == 0


def test_the_same_event_many_times_is_one_sale(shopper, card, processor, merchant, studio):
    pay(check_out(shopper, card))
    paid = [e for e in processor.pending() if e["type"] == "payment_intent.succeeded"]
    processor.deliver(paid * 3)
    for row in WebhookEvent.objects.all():
        settlement.settle_event(event_id=row.pk)
    again = {**paid[0], "id": "evt_another_event_of_the_same_payment"}
    processor.deliver([again])
    assert_sold_once(merchant, studio)
    assert Order.objects.get().status_changes.count() == 2
    assert Conversion.objects.count() == Attribution.objects.count() == 1


def test_events_out_of_order_settle_the_same(shopper, card, processor, merchant, studio):
    checkout = check_out(shopper, card)
    assert not pay(checkout, "pm_card_chargeDeclined").taken
    assert pay(checkout).taken
    processor.deliver(processor.pending()[::-1])
    assert_sold_once(merchant, studio)
    checkout.refresh_from_db()
    assert (checkout.status, checkout.decline) == ("paid", "")


def test_a_broken_step_leaves_nothing_behind_and_the_next_try_does_it_all(
    shopper, card, processor, merchant, studio
):
    """As a kill at the worst moment: everything but the last write is done, nothing is committed."""
    pay(check_out(shopper, card))
    (paid,) = [e for e in processor.pending() if e["type"] == "payment_intent.succeeded"]
    row = processor.receive(paid)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE ranking_conversion RENAME TO ranking_conversion_away")
    with pytest.raises(Exception, match="ranking_conversion"):
        settlement.settle_event(event_id=row.pk)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE ranking_conversion_away RENAME TO ranking_conversion")
    row.refresh_from_db()
    assert (row.handled_at, row.attempts) == (None, 1)
    assert not Journal.objects.exists()
    assert Order.objects.get().status == "pending"
    settlement.settle_event(event_id=row.pk)
    assert_sold_once(merchant, studio)


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("pm_card_chargeDeclined", "declined"),
        ("pm_card_chargeDeclinedInsufficientFunds", "not enough funds"),
        ("pm_card_authenticationRequired", "3-D Secure"),
    ],
)
def test_a_refused_card_leaves_the_checkout_for_another(
    shopper, card, processor, merchant, studio, method, words
):
    checkout = check_out(shopper, card)
    attempt = pay(checkout, method)
    assert not attempt.taken
    assert words in attempt.words
    processor.deliver()
    checkout.refresh_from_db()
    assert checkout.status == "open"
    assert checkout.decline
    assert not Journal.objects.exists()
    assert pay(checkout).taken
    processor.deliver()
    assert_sold_once(merchant, studio)


def test_an_unknown_card_is_not_tried(shopper, card, processor):
    with pytest.raises(paying.PaymentFormMissing):
        pay(check_out(shopper, card), "pm_made_up")


def test_a_live_key_takes_no_test_cards(shopper, card, processor, settings):
    checkout = check_out(shopper, card)
    settings.STRIPE_API_KEY = "sk_live_x"
    with pytest.raises(paying.PaymentFormMissing):
        pay(checkout)


def test_a_payment_after_the_end_is_sent_back_whole(shopper, card, processor, merchant, studio):
    checkout = check_out(shopper, card)
    pay(checkout)
    # Ended by hand between the processor's yes and its event, as after a long outage.
    checkouts.close_checkout(checkout_id=checkout.pk, to=Checkout.Status.EXPIRED, by=None, reason="test")
    processor.deliver()
    refund = Refund.objects.get()
    assert (refund.status, refund.amount_micros) == ("granted", SALE)
    from marketplace.shopping.refunds import send_refund

    send_refund(refund_id=refund.pk)
    send_refund(refund_id=refund.pk)
    processor.deliver()
    processor.deliver()
    checkout.refresh_from_db()
    assert checkout.status == "returned"
    assert Order.objects.get().status == "cancelled"
    assert account("merchant_wallet", merchant.ref) == 0
    assert account("developer_pending", studio.ref) == account("platform_revenue") == 0
    assert account("processor_clearing") == -FEE, "the processor keeps its fee"
    assert books_balance()
    assert not Attribution.objects.exists()
    assert not Conversion.objects.exists()
    assert Offer.objects.get().stock == 5


def test_another_amount_than_the_checkouts_is_not_settled(shopper, card, processor):
    checkout = check_out(shopper, card)
    pay(checkout)
    Checkout.objects.filter(pk=checkout.pk).update(total_micros=usd("1").micros)
    (paid,) = [e for e in processor.pending() if e["type"] == "payment_intent.succeeded"]
    with pytest.raises(settlement.AmountMismatch):
        settlement.settle_event(event_id=processor.receive(paid).pk)
    assert not Journal.objects.exists()


def test_what_was_recommended_within_seven_days_is_credited_to_the_last_card(
    shopper, scout, prices, headphones, processor
):
    show(talk(shopper, scout, prices), headphones, at=now() - timedelta(days=3))
    last = show(talk(shopper, scout, prices), headphones, at=now() - timedelta(days=1))
    pay(check_out(shopper, headphones))
    processor.deliver()
    credit = Attribution.objects.get()
    assert (credit.recommendation, credit.rule) == (last, "same_variant")


def test_without_a_recommendation_the_sale_is_untaxed(shopper, headphones, prices, processor, merchant):
    pay(check_out(shopper, headphones))
    processor.deliver()
    assert account("merchant_wallet", merchant.ref) == -SALE
    assert account("platform_revenue") == 0
    assert not Attribution.objects.exists()


def test_a_card_shown_to_somebody_else_earns_nothing(shopper, scout, prices, headphones, processor, charlie):
    from marketplace.shopping.models import Shopper

    show(talk(Shopper.objects.create(user=charlie), scout, prices), headphones)
    pay(check_out(shopper, headphones))
    processor.deliver()
    assert not Attribution.objects.exists()


def test_the_tax_is_by_the_prices_of_when_the_conversation_was_opened(
    shopper, card, processor, studio, prices
):
    later = draft_prices(
        name="later prices",
        by="test",
        terms=[
            Terms("ppcv", 1),
            Terms("agent_tax", 140_000),
            Terms("agent_tax", 80_000, "grocery"),
            Terms("developer_share", 900_000),
        ],
    )
    announce_prices(version_id=later.pk, effective_at=now() + timedelta(hours=1), by="test")
    with time_machine.travel(now() + timedelta(hours=2)):
        pay(check_out(shopper, card))
        processor.deliver()
    assert account("developer_pending", studio.ref) == -SHARE
    assert UsageEvent.objects.get(kind="agent_tax").price_version_id == prices.pk


def test_the_tax_of_a_category_with_a_long_name_is_its_own(shopper, scout, prices, merchant, processor):
    name = "accessories" * 10
    own = draft_prices(
        name="by category", by="test",
        terms=[
            Terms("ppcv", 150_000), Terms("agent_tax", 150_000), Terms("agent_tax", 80_000, "grocery"),
            Terms("agent_tax", 50_000, name), Terms("developer_share", 700_000),
        ],
    )  # fmt: skip
    announce_prices(version_id=own.pk, effective_at=now() + timedelta(hours=1), by="test")
    offer = sell(merchant, "Strap", "10.00", category=name)
    conversation = talk(shopper, scout, own)
    Conversation.objects.filter(pk=conversation.pk).update(exposure_id=None)
    pay(check_out(shopper, show(conversation, offer)))
    processor.deliver()
    tax = UsageEvent.objects.get(kind="agent_tax")
    assert (tax.category, tax.amount_micros) == (name, 500_000)
    assert Conversion.objects.get().status == "excluded"


def test_buying_from_ones_own_agent_does_not_count_for_the_ranking(
    alice, scout, prices, headphones, processor
):
    from marketplace.shopping.models import Shopper

    shopper = Shopper.objects.create(user=alice)
    pay(check_out(shopper, show(talk(shopper, scout, prices), headphones)))
    processor.deliver()
    conversion = Conversion.objects.get()
    assert (conversion.status, conversion.reason) == ("excluded", "own organization")


def test_a_cart_of_two_merchants_books_each(shopper, card, processor, merchant, studio, mia):
    from agentstore.identity.services import create_organization

    other = create_organization(kind="merchant", name="Kitchen Co", owner=mia)
    pay(check_out(shopper, card, sell(other, "Kettle", "20.00")))
    processor.deliver()
    assert account("merchant_wallet", merchant.ref) == -(SALE - TAX)
    assert account("merchant_wallet", other.ref) == -20_000_000
    # 2.9 % of 119.00 is 3.451, + 0.30, in whole cents
    assert account("processor_fees") == 3_750_000
    assert account("processor_clearing") == 119_000_000 - 3_750_000
    assert books_balance()


def test_events_of_other_things_are_marked_and_left(processor, db, headphones):
    from billing.processor.payments import create_payment

    create_payment(reference="something-else", amount=usd("5"))
    create_payment(reference="checkout:not-a-uuid", amount=usd("5"))
    create_payment(reference="checkout:019ab000-0000-7000-8000-000000000000", amount=usd("5"))
    processor.deliver()
    assert not WebhookEvent.objects.filter(handled_at=None).exists()


def test_an_unsigned_event_is_refused(client, db):
    answer = client.post("/webhooks/stripe/", "{}", content_type="application/json")
    assert answer.status_code == 400
    assert not WebhookEvent.objects.exists()
