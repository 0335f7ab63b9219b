"""Facts about offers and what is taken of their stock."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from agentstore.identity.services import create_organization
from agentstore.kit.clock import now
from agentstore.kit.errors import Invalid, NotFound
from agentstore.kit.money import Money
from marketplace.catalog.models import IndexOutbox, Offer, Product, Variant
from marketplace.catalog.offers import InvalidOffer, change_offer, read_offer, read_offers
from marketplace.catalog.products import restore_product, withhold_product
from marketplace.catalog.stock import AlreadyReserved, OutOfStock, buy_reserved, release_stock, reserve_stock
from tests.cast import person


def usd(amount):
    return Money(round(amount * 1_000_000), "USD")


def fact_of(offer):
    found = read_offer(variant_id=offer.variant_id)
    assert found is not None
    return found


def test_a_fact_says_what_is(shop, offer):
    fact = fact_of(offer("tee-m"))
    assert fact.title == "Cotton Tee, Blue / M"
    assert fact.options == {"Color": "Blue", "Size": "M"}
    assert (fact.price, fact.list_price) == (usd(15), usd(20))
    assert (fact.category, fact.category_path) == ("clothing", ("Clothing", "Shirts"))
    assert fact.merchant_ref == shop.ref
    assert fact.available
    assert fact_of(offer("wine")).min_age == 21


def test_the_best_offer_can_be_bought_and_is_cheapest(shop, offer, mia):
    cheap = create_organization(kind="merchant", name="Cheap", owner=mia)
    empty = create_organization(kind="merchant", name="Empty", owner=mia)
    variant_id = offer("cam").variant_id
    best = Offer.objects.create(
        variant_id=variant_id, merchant=cheap, price_micros=5_000_000, currency="USD", on_hand=1
    )
    Offer.objects.create(
        variant_id=variant_id, merchant=empty, price_micros=1_000_000, currency="USD", on_hand=0
    )
    assert fact_of(best).offer_id == best.pk
    named = read_offer(variant_id=variant_id, offer_id=offer("head").pk)
    assert named is None, "an offer of another variant is no offer of this one"
    assert read_offer(variant_id=404) is None


def test_many_facts_take_as_many_queries_as_one(shop, django_assert_num_queries):
    ids = list(Offer.objects.values_list("pk", flat=True))
    with django_assert_num_queries(3):
        facts = read_offers(offer_ids=[*ids, 999_999])
    assert set(facts) == set(ids)


@pytest.mark.parametrize(
    ("change", "active"),
    [
        ({"active": False}, False),
        ({"valid_from": timedelta(hours=1)}, False),
        ({"valid_to": timedelta(hours=-1)}, False),
        ({"valid_from": timedelta(hours=-1), "valid_to": timedelta(hours=1)}, True),
    ],
)
def test_an_offer_is_active_within_its_dates(shop, offer, change, active):
    values = {
        name: now() + value if isinstance(value, timedelta) else value for name, value in change.items()
    }
    Offer.objects.filter(pk=offer("cam").pk).update(**values)
    assert fact_of(offer("cam")).active is active


def test_a_change_by_hand_is_kept_with_its_author(shop, offer, mia):
    change_offer(
        offer_id=offer("cam").pk, merchant=shop, by=mia, price=usd(700), list_price=usd(900), stock=4,
        active=True, reason="summer",
    )  # fmt: skip
    row = offer("cam").changes.get()
    assert (row.by, row.reason, row.price_micros, row.stock) == (mia, "summer", 700_000_000, 4)
    assert IndexOutbox.objects.filter(product_id=offer("cam").variant.product_id).exists()


@pytest.mark.parametrize(
    "values",
    [
        {"price": usd(0)},
        {"price": Money(1, "EUR")},
        {"price": usd(5), "list_price": usd(5)},
        {"price": usd(5), "stock": -1},
    ],
)
def test_an_impossible_offer_is_refused(shop, offer, mia, values):
    given = {"list_price": None, "stock": 1, "active": True, **values}
    with pytest.raises(InvalidOffer):
        change_offer(offer_id=offer("cam").pk, merchant=shop, by=mia, **given)


def test_another_merchants_offer_does_not_exist(shop, offer, charlie):
    other = create_organization(kind="merchant", name="Charlie's", owner=charlie)
    with pytest.raises(NotFound):
        change_offer(
            offer_id=offer("cam").pk, merchant=other, by=charlie, price=usd(1), list_price=None, stock=1,
            active=True,
        )  # fmt: skip


def test_withholding_leaves_a_row_for_each_decision(shop, offer, olivia):
    product = offer("cam").variant.product
    withhold_product(product_id=product.pk, by=olivia, reason="recalled")
    withhold_product(product_id=product.pk, by=olivia, reason="again")
    assert fact_of(offer("cam")).withheld
    restore_product(product_id=product.pk, by=olivia, reason="repaired")
    rows = product.status_changes.all()
    assert [(row.to_status, row.reason) for row in rows] == [("withheld", "recalled"), ("active", "repaired")]


def hold(offer_id, quantity, holder="buyer"):
    return reserve_stock(offer_id=offer_id, quantity=quantity, holder=holder, until=now())


def test_stock_runs_out_and_comes_back(shop, offer):
    pk = offer("cam").pk
    IndexOutbox.objects.all().delete()
    assert hold(pk, 1, "first") == 1
    assert not IndexOutbox.objects.exists(), "the index knows of stock or none, not of how many"
    with pytest.raises(OutOfStock) as refused:
        hold(pk, 2)
    assert (refused.value.code, refused.value.details) == ("out_of_stock", {"left": 1})
    assert hold(pk, 1, "second") == 0
    assert (release_stock(holder="first"), release_stock(holder="first")) == (1, 0)
    assert (offer("cam").stock, offer("cam").on_hand) == (1, 2)
    assert IndexOutbox.objects.count() == 2
    assert (buy_reserved(holder="second"), buy_reserved(holder="second")) == (1, 0)
    assert (offer("cam").stock, offer("cam").on_hand, offer("cam").reserved) == (1, 1, 0)
    with pytest.raises(NotFound):
        hold(404, 1)
    with pytest.raises(Invalid):
        hold(pk, 0)


def test_a_holder_reserves_an_offer_once(shop, offer):
    hold(offer("wine").pk, 2)
    with pytest.raises(AlreadyReserved):
        hold(offer("wine").pk, 3)
    assert offer("wine").reserved == 2


@pytest.mark.django_db(transaction=True)
def test_of_64_buyers_of_the_last_item_one_gets_it(merchant):
    product = Product.objects.create(owner=merchant, group_id="last", title="Last")
    variant = Variant.objects.create(owner=merchant, product=product, item_id="last")
    pk = Offer.objects.create(
        variant=variant, merchant=merchant, price_micros=1, currency="USD", on_hand=1
    ).pk
    outcomes = []
    ready = threading.Barrier(64)

    def buy():
        try:
            ready.wait()
            hold(pk, 1, threading.current_thread().name)
            outcomes.append("bought")
        except OutOfStock:
            outcomes.append("sold out")
        finally:
            connection.close()

    buyers = [threading.Thread(target=buy) for _ in range(64)]
    for buyer in buyers:
        buyer.start()
    for buyer in buyers:
        buyer.join()
    assert sorted(outcomes) == ["bought"] + ["sold out"] * 63
    assert Offer.objects.get(pk=pk).stock == 0


class StockIsConserved(TestCase):
    @settings(max_examples=25, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["hold", "release", "buy", "feed"]), st.integers(min_value=1, max_value=6)
            ),
            max_size=14,
        )
    )
    def test_what_can_be_bought_is_what_is_there_and_not_held(self, moves):
        mia = person("Mia")
        merchant = create_organization(kind="merchant", name="Audio Haus", owner=mia)
        product = Product.objects.create(owner=merchant, group_id="p", title="P")
        variant = Variant.objects.create(owner=merchant, product=product, item_id="v")
        offer = Offer.objects.create(
            variant=variant, merchant=merchant, price_micros=1, currency="USD", on_hand=5
        )
        there = 5
        held: list[tuple[str, int]] = []
        for step, (move, number) in enumerate(moves):
            free = max(0, there - sum(quantity for _, quantity in held))
            if move == "feed":
                there = number
                Offer.objects.filter(pk=offer.pk).update(on_hand=number)
            elif move == "hold" and number <= free:
                hold(offer.pk, number, f"h{step}")
                held.append((f"h{step}", number))
            elif move == "hold":
                with pytest.raises(OutOfStock):
                    hold(offer.pk, number, f"h{step}")
            elif held and move == "release":
                release_stock(holder=held.pop(0)[0])
            elif held:
                holder, quantity = held.pop()
                buy_reserved(holder=holder)
                there = max(0, there - quantity)
            offer.refresh_from_db()
            assert offer.stock == max(0, there - sum(quantity for _, quantity in held))
