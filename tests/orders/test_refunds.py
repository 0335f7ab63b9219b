"""Refunds: asked for, granted, paid, booked; tax, share and conversion go back with them."""

import pytest

from agentstore.identity.models import Membership
from agentstore.identity.services import add_member
from agentstore.kit.errors import Conflict, Forbidden, Invalid, NotFound
from billing.models import Journal
from marketplace.catalog.models import Offer
from marketplace.ranking.models import Conversion
from marketplace.shopping import refunds
from marketplace.shopping.models import Order, Refund
from tests.orders.test_settlement import SALE
from tests.orders.world import account, books_balance, check_out, pay


@pytest.fixture
def order(shopper, card, processor) -> Order:
    """Three headphones from a card, paid."""
    pay(check_out(shopper, card, quantity=3))
    processor.deliver()
    return Order.objects.get()


def give_back(processor, refund: Refund) -> Refund:
    refunds.send_refund(refund_id=refund.pk)
    processor.deliver()
    refund.refresh_from_db()
    return refund


def test_the_whole_story_leaves_only_the_processors_fee(order, sam, mia, processor, merchant, studio):
    refund = refunds.request_refund(order_id=order.pk, by=sam, reason="Too loud.")
    assert account("processor_clearing") > 0, "asking moves no money"
    refunds.grant_refund(refund_id=refund.pk, by=mia)
    refunds.grant_refund(refund_id=refund.pk, by=mia)
    refund = give_back(processor, refund)
    order.refresh_from_db()
    assert (refund.status, order.status) == ("done", "refunded")
    assert [c.to_status for c in refund.status_changes.all()] == ["requested", "granted", "done"]
    assert account("merchant_wallet", merchant.ref) == 0
    assert account("developer_pending", studio.ref) == account("platform_revenue") == 0
    fee = account("processor_fees")
    assert fee > 0
    assert account("processor_clearing") == -fee
    assert books_balance()
    assert Conversion.objects.get().status == "reversed"
    assert Offer.objects.get().stock == 2, "whether goods can be sold again is the merchant's to know"


def test_items_one_by_one_return_exactly_the_whole(order, mia, processor, merchant, studio):
    (line,) = order.lines.all()
    for left in (2, 1, 0):
        give_back(
            processor, refunds.issue_refund(order_id=order.pk, by=mia, reason="x", quantities={line.pk: 1})
        )
        order.refresh_from_db()
        assert order.status == ("part_refunded" if left else "refunded")
        sold = left * SALE
        tax = sold * 15 // 100
        assert account("merchant_wallet", merchant.ref) == -(sold - tax)
        assert account("developer_pending", studio.ref) == -(tax * 7 // 10)
        assert books_balance()
        assert Conversion.objects.get().status == ("pending" if left else "reversed")
    with pytest.raises(refunds.NothingToRefund):
        refunds.issue_refund(order_id=order.pk, by=mia, reason="x")


def test_events_and_sends_may_repeat(order, mia, processor):
    refund = refunds.issue_refund(order_id=order.pk, by=mia, reason="x")
    for _ in range(3):
        refunds.send_refund(refund_id=refund.pk)
    events = processor.pending()
    assert [e["type"] for e in events].count("refund.created") == 1
    processor.deliver(events + events)
    processor.deliver(
        [{**e, "id": e["id"] + "_again", "type": e["type"].replace("created", "updated")} for e in events]
    )
    assert Journal.objects.filter(kind="refund").count() == 1
    assert Refund.objects.get().status == "done"


def test_the_event_may_come_before_our_own_note(order, mia, processor):
    refund = refunds.issue_refund(order_id=order.pk, by=mia, reason="x")
    refunds.send_refund(refund_id=refund.pk)
    Refund.objects.update(processor_ref="")  # killed between the processor's answer and our commit
    processor.deliver()
    refund.refresh_from_db()
    assert refund.status == "done"
    assert refund.processor_ref.startswith("re_")


def test_no_more_than_was_bought(order, sam, mia):
    (line,) = order.lines.all()
    refunds.request_refund(order_id=order.pk, by=sam, reason="x", quantities={line.pk: 2})
    for quantity in (2, -1, 0):
        with pytest.raises(refunds.NothingToRefund):
            refunds.issue_refund(order_id=order.pk, by=mia, reason="x", quantities={line.pk: quantity})
    with pytest.raises(refunds.NothingToRefund):
        refunds.issue_refund(order_id=order.pk, by=mia, reason="x", quantities={line.pk + 1: 1})
    with pytest.raises(Invalid):
        refunds.issue_refund(order_id=order.pk, by=mia, reason=" ", quantities={line.pk: 1})


def test_a_declined_request_frees_its_items(order, sam, mia):
    refund = refunds.request_refund(order_id=order.pk, by=sam, reason="x")
    with pytest.raises(Invalid):
        refunds.decline_refund(refund_id=refund.pk, by=mia, reason="")
    refunds.decline_refund(refund_id=refund.pk, by=mia, reason="Worn.")
    with pytest.raises(Conflict):
        refunds.grant_refund(refund_id=refund.pk, by=mia)
    refunds.request_refund(order_id=order.pk, by=sam, reason="Please.")


def test_a_refund_that_the_processor_refuses_fails_and_frees_its_items(order, mia, processor):
    from agentstore.kit.money import Money
    from billing.processor.payments import refund_payment

    # Somebody gave the money back on the processor's own page before.
    refund_payment(
        payment_id=order.checkout.payment_ref, amount=Money(order.total_micros, "USD"), reference="by-hand"
    )
    refund = refunds.issue_refund(order_id=order.pk, by=mia, reason="x")
    refunds.send_refund(refund_id=refund.pk)
    refund.refresh_from_db()
    assert refund.status == "failed"
    assert refunds.refundable(order) == {line.pk: 3 for line in order.lines.all()}


def test_who_may_grant(order, sam, mia, charlie, alice, olivia, bob, merchant):
    add_member(organization=merchant, user=bob, role=Membership.Role.MEMBER, by=mia)
    refund = refunds.request_refund(order_id=order.pk, by=sam, reason="x")
    for stranger in (charlie, alice, sam):
        with pytest.raises(NotFound):
            refunds.grant_refund(refund_id=refund.pk, by=stranger)
        with pytest.raises(NotFound):
            refunds.decline_refund(refund_id=refund.pk, by=stranger, reason="no")
        with pytest.raises(NotFound):
            refunds.issue_refund(order_id=order.pk, by=stranger, reason="x")
    with pytest.raises(Forbidden):
        refunds.grant_refund(refund_id=refund.pk, by=bob)
    with pytest.raises(NotFound):
        refunds.request_refund(order_id=order.pk, by=charlie, reason="x")
    assert refunds.grant_refund(refund_id=refund.pk, by=olivia).status == "granted"


def test_an_unpaid_order_is_not_refunded(shopper, card, sam):
    check_out(shopper, card)
    with pytest.raises(refunds.NothingToRefund):
        refunds.request_refund(order_id=Order.objects.get().pk, by=sam, reason="x")
