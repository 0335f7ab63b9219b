"""Rules and the simulator through the merchant's pages."""

import re

import pytest
from django.urls import reverse

from agentstore.identity.services import add_member, create_organization
from marketplace.catalog.models import Category
from marketplace.shopping.models import NegotiationRule
from marketplace.shopping.negotiation import Terms
from marketplace.shopping.negotiation.rules import add_rule
from tests.orders.bargains import agree, allow, propose
from tests.orders.world import check_out, pay, sell, talk

TERMS = {"off": "10", "step": "5", "rounds": "3", "active": "on"}


def address(name, *args):
    return reverse(f"shopping:{name}", args=args)


def text(answer) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


@pytest.fixture
def desk(client, mia, merchant, headphones):
    """Mia at her shop's pages."""
    client.force_login(mia)
    return client


def make(desk, merchant, **fields):
    return desk.post(address("negotiation-new", merchant.slug), {**TERMS, **fields})


def try_it(desk, merchant, proposed="80", quantity="1", item="Headphones"):
    asked = {"item": item, "quantity": quantity, "proposed": proposed}
    return desk.get(address("negotiation", merchant.slug), asked)


def test_without_a_rule_the_price_stands(desk, merchant):
    assert "Nothing is negotiated" in text(desk.get(address("negotiation", merchant.slug)))
    assert "No rule counts for this item now: your price of $99.00 stands." in text(try_it(desk, merchant))


def test_from_a_rule_to_what_an_agent_would_get(desk, merchant, mia):
    fields = {"applies_to": "offer", "item": "Headphones", "breaks": "5: 20\n10 = 30%", "floor": "75"}
    assert make(desk, merchant, **fields, reason="autumn").url == address("negotiation", merchant.slug)
    shown = text(try_it(desk, merchant))
    assert "1 $80.00 Counters $94.05 2 $80.00 Counters $89.10 3 $80.00 Counters its last word $89.10" in shown
    assert "An agent gets $89.10 each instead of $99.00: 10.0% off, $9.90 on 1." in shown
    assert "1 $95.00 Accepts $95.00" in text(try_it(desk, merchant, "95"))
    more = text(try_it(desk, merchant, "60", "10"))
    assert "lowest price for 10 pieces is $75.00 each" in more
    assert "Only 5 can be bought now." in more
    rule = NegotiationRule.objects.get()
    history = text(desk.get(address("negotiation-rule", merchant.slug, rule.pk)))
    assert "Mia" in history
    assert "autumn" in history
    assert "from 10: 30%" in history


def test_the_most_special_rule_that_counts_now_decides(desk, merchant):
    make(desk, merchant, applies_to="category", category=Category.objects.get().pk, off="2", step="2")
    assert "2.0% off" in text(try_it(desk, merchant, "1"))
    make(desk, merchant, applies_to="product", item="Headphones", off="4", step="4")
    assert "4.0% off" in text(try_it(desk, merchant, "1"))
    make(
        desk, merchant, applies_to="offer", item="Headphones", off="6", step="6", valid_to="2001-01-01T00:00"
    )
    shown = text(try_it(desk, merchant, "1"))
    assert "4.0% off" in shown
    assert "was passed over: It is over." in shown
    product_rule = NegotiationRule.objects.get(product__isnull=False)
    door = address("negotiation-rule", merchant.slug, product_rule.pk)
    assert desk.post(door, {**TERMS, "active": ""}).status_code == 302
    shown = text(try_it(desk, merchant, "1"))
    assert "2.0% off" in shown
    assert "It is switched off." in shown
    assert [change.active for change in product_rule.changes.all()] == [False, True]


def test_a_rule_of_nothing_is_shown_as_none(desk, merchant):
    make(desk, merchant, applies_to="product", item="Headphones", off="0")
    shown = text(try_it(desk, merchant))
    assert "it is not negotiated: agents are told so." in shown
    assert "Counters" not in shown
    assert "An agent pays your price of $99.00" in shown


def test_one_rule_for_each_thing(desk, merchant):
    assert make(desk, merchant, applies_to="offer", item="Headphones").status_code == 302
    twice = make(desk, merchant, applies_to="offer", item="Headphones")
    assert twice.status_code == 422
    assert "There is a rule for this offer already. Change that one." in text(twice)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"applies_to": "offer", "item": "nothing"}, "None of your items has this id."),
        ({"applies_to": "category"}, "Choose the category."),
        ({"applies_to": "offer", "item": "Headphones", "breaks": "many: 5"}, "is not of the form"),
        ({"applies_to": "offer", "item": "Headphones", "breaks": "5: 5"}, "gets more off than a smaller one"),
        ({"applies_to": "offer", "item": "Headphones", "off": "91"}, "less than or equal to 90"),
        ({"applies_to": "offer", "item": "Headphones", "from_hour": "8"}, "Give both hours, or neither."),
    ],
)
def test_what_cannot_be_is_refused_with_the_form(desk, merchant, fields, says):
    answer = make(desk, merchant, **fields)
    assert answer.status_code == 422
    assert says in text(answer)
    assert not NegotiationRule.objects.exists()


def test_a_question_that_cannot_be_is_refused(desk, merchant):
    answer = try_it(desk, merchant, proposed="-1", item="nothing", quantity="0")
    assert answer.status_code == 422
    assert "None of your items has this id." in text(answer)


def test_members_make_rules_and_charlie_reaches_none(desk, client, merchant, mia, bob, charlie, headphones):
    make(desk, merchant, applies_to="offer", item="Headphones")
    rule = NegotiationRule.objects.get()
    add_member(organization=merchant, user=bob, role="member", by=mia)
    client.force_login(bob)
    one = address("negotiation-rule", merchant.slug, rule.pk)
    assert client.post(one, {**TERMS, "off": "11"}).status_code == 302
    client.force_login(charlie)
    theirs = [address("negotiation", merchant.slug), address("negotiation-new", merchant.slug), one]
    assert [client.get(door).status_code for door in theirs] == [404] * 3
    assert [client.post(door, TERMS).status_code for door in theirs[1:]] == [404] * 2
    mine = create_organization(kind="merchant", name="Charlie's", owner=charlie)
    assert client.get(address("negotiation-rule", mine.slug, rule.pk)).status_code == 404
    assert client.post(address("negotiation-rule", mine.slug, rule.pk), TERMS).status_code == 404
    # Another merchant's items are no more there for the simulator and for rules than unknown ones.
    for item in ("Headphones", headphones.public_id):
        assert try_it(client, mine, item=item).status_code == 422
        assert make(client, mine, applies_to="product", item=item).status_code == 422
    rule.refresh_from_db()
    assert rule.off_ppm == 110_000
    client.logout()
    assert [client.get(door).status_code for door in theirs] == [302] * 3


def test_the_offers_page_leads_to_the_simulator(desk, merchant, headphones):
    page = desk.get(reverse("catalog:offer", args=[merchant.slug, headphones.pk])).content.decode()
    assert f"?item={headphones.public_id}#try" in page
    asked = desk.get(address("negotiation", merchant.slug), {"item": headphones.public_id})
    assert f'value="{headphones.public_id}"' in asked.content.decode()


def test_rules_are_paged(desk, merchant, mia):
    terms = Terms(off_ppm=100_000, step_ppm=50_000, rounds=3)
    for number in range(26):
        add_rule(
            merchant=merchant, target=sell(merchant, f"Thing {number}"), terms=terms, active=True, by=mia
        )
    assert "Page 1 of 2" in text(desk.get(address("negotiation", merchant.slug)))


def test_what_was_negotiated_and_what_came_of_it(
    desk, merchant, headphones, shopper, scout, prices, processor
):
    door = address("negotiations-made", merchant.slug)
    assert "Nobody has negotiated yet" in text(desk.get(door))
    allow(headphones)
    conversation = talk(shopper, scout, prices)
    propose(conversation, headphones, 5000, argument="Sam is poor")
    agree(conversation, headphones, 9000)
    propose(conversation, headphones, 5000, 5)
    propose(talk(shopper, scout, prices), headphones, 5000)
    pay(check_out(shopper, headphones))
    processor.deliver()
    shown = text(desk.get(door))
    assert "Negotiations 2 in 4 rounds Agreed on a price 1 1 bought Given on paid orders $9.00" in shown
    assert "Headphones Bargain Scout 3 Bought $90.00 of $99.00 9.1%" in shown
    assert "Not agreed $89.10 asked last of $99.00 none" in shown
    assert "Sam" not in shown


def test_charlie_sees_no_negotiations(client, merchant, charlie, headphones, shopper, scout, prices):
    allow(headphones)
    agree(talk(shopper, scout, prices), headphones, 9000)
    client.force_login(charlie)
    assert client.get(address("negotiations-made", merchant.slug)).status_code == 404
    mine = create_organization(kind="merchant", name="Charlie's", owner=charlie)
    assert "Nobody has negotiated yet" in text(client.get(address("negotiations-made", mine.slug)))
