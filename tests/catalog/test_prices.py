"""Sales with dates, the low before a reduction, and what a unit costs."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import takewhile

import pytest
import time_machine
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentstore.kit.clock import now
from agentstore.kit.money import Money
from marketplace.catalog.feeds.pushing import push_offers
from marketplace.catalog.measures import read_measure
from marketplace.catalog.models import IndexOutbox, Offer, PricePoint, Variant
from marketplace.catalog.offers import change_offer, read_offer
from marketplace.catalog.price_history import forget_old_prices, read_lows
from marketplace.catalog.sale_turns import turn_sales
from marketplace.catalog.ucp import service

START = datetime(2026, 6, 1, tzinfo=UTC)


def fact_of(offer):
    found = read_offer(variant_id=offer.variant_id)
    assert found is not None
    return found


def lead(offer, *points):
    """Give an offer a history of (day, price) pairs; a price given as a string is a reduced one."""
    PricePoint.objects.filter(offer=offer).delete()
    PricePoint.objects.bulk_create(
        PricePoint(
            offer=offer,
            at=START + timedelta(days=day),
            price_micros=int(price),
            list_price_micros=999 if isinstance(price, str) else None,
        )
        for day, price in points
    )


def told_of(point):
    """The pair that `lead` takes."""
    price = point.price_micros if point.list_price_micros is None else str(point.price_micros)
    return (point.at - START).days, price


@pytest.mark.parametrize(
    ("history", "low"),
    [
        ([], None),
        ([(0, 100)], None),
        ([(0, "80")], None),
        ([(0, 100), (40, "80")], 100),
        ([(0, 60), (5, 100), (40, "80")], 100),
        ([(0, 60), (15, 100), (40, "80")], 60),
        ([(0, 100), (20, 70), (22, 100), (40, "80")], 70),
        ([(0, 100), (40, "80"), (45, "60"), (50, "70")], 100),
        ([(0, 100), (10, "50"), (12, 100), (40, "80")], 50),
        ([(0, 100), (40, "80"), (45, 100)], None),
    ],
    ids=[
        "nothing", "no sale", "new on sale", "plain", "long ago", "still asked 30 days before", "a dip",
        "lowered further", "an earlier sale counts", "over",
    ],
)  # fmt: skip
def test_the_low_is_that_of_the_30_days_before_the_reduction(shop, offer, history, low):
    cam = offer("cam")
    lead(cam, *history)
    lead(offer("wine"), (0, 1), (50, "1"))
    assert read_lows([cam.pk]) == ({} if low is None else {cam.pk: low})


# A reduced price now and then, as text.
HISTORIES = st.lists(
    st.tuples(st.integers(0, 120), st.integers(1, 9) | st.integers(1, 9).map(str)),
    max_size=12,
    unique_by=lambda point: point[0],
).map(lambda points: sorted(points, key=lambda point: point[0]))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(HISTORIES, HISTORIES)
def test_the_low_is_asked_in_the_window_and_forgetting_changes_no_low(shop, offer, history, later):
    cam = offer("cam")
    lead(cam, *history)
    reduced = list(takewhile(lambda point: isinstance(point[1], str), reversed(history)))
    earlier = history[: len(history) - len(reduced)]
    expected = {}
    if reduced and earlier:
        begins = reduced[-1][0] - 30
        standing = [int(price) for day, price in earlier if day <= begins][-1:]
        expected[cam.pk] = min(standing + [int(price) for day, price in earlier if day > begins])
    assert read_lows([cam.pk]) == expected
    with time_machine.travel(START + timedelta(days=120), tick=False):
        forget_old_prices()
    assert read_lows([cam.pk]) == expected
    # Neither do prices that come after it find another low.
    kept = [told_of(point) for point in PricePoint.objects.filter(offer=cam)]
    after = [(day + 121, price) for day, price in later]
    lead(cam, *history, *after)
    whole = read_lows([cam.pk])
    lead(cam, *kept, *after)
    assert read_lows([cam.pk]) == whole


def test_old_prices_are_forgotten_and_that_which_stood_then_is_kept(shop, offer):
    lead(offer("cam"), (0, 50), (10, 60), (20, 70), (60, 80))
    lead(offer("wine"), (0, 50), (10, 60), (50, "40"), (51, "30"), (55, "20"))
    lead(offer("head"), (0, 50))
    with time_machine.travel(START + timedelta(days=100), tick=False):
        assert forget_old_prices() == 4
        assert forget_old_prices() == 0
    left = {name: [point.price_micros for point in PricePoint.objects.filter(offer=offer(name))]
            for name in ("cam", "wine", "head")}  # fmt: skip
    assert left == {"cam": [80], "wine": [60, 40, 30, 20], "head": [50]}


def test_postgresql_notes_every_price_whoever_sets_it(shop, load, offer, mia):
    cam = offer("cam")
    Offer.objects.filter(pk=cam.pk).update(price_micros=700_000_000)
    Offer.objects.filter(pk=cam.pk).update(on_hand=9)
    change_offer(
        offer_id=cam.pk, merchant=shop, by=mia, price=Money(600_000_000, "USD"),
        list_price=Money(700_000_000, "USD"), stock=9, active=True,
    )  # fmt: skip
    push_offers(merchant=shop, items=[{"id": "cam", "price": "650 USD"}])
    noted = PricePoint.objects.filter(offer=cam).values_list("price_micros", "list_price_micros")
    assert [(price / 1_000_000, before) for price, before in noted] == [
        (899.99, None), (700, None), (600, 700_000_000), (650, None),
    ]  # fmt: skip


def test_the_low_stands_beside_a_discount_and_in_the_protocol(client, shop, offer):
    cam = offer("cam")
    PricePoint.objects.filter(offer=cam).update(at=now() - timedelta(days=20))
    Offer.objects.filter(pk=cam.pk).update(price_micros=700_000_000)
    Offer.objects.filter(pk=cam.pk).update(price_micros=800_000_000, list_price_micros=999_000_000)
    assert fact_of(cam).low == Money(700_000_000, "USD")
    product = cam.variant.product
    page = client.get(reverse("catalog:product", args=[product.public_id])).content.decode()
    assert "Lowest price in the 30 days before: $700.00" in page
    told = service.product_detail({"id": product.public_id})
    variant = told["product"]["variants"][0]
    assert variant["metadata"]["lowest_price_30_days"] == {"amount": 70_000, "currency": "USD"}
    assert variant["list_price"]["amount"] == 99_900


def test_without_an_earlier_price_the_page_says_so(client, shop, offer):
    product = offer("tee-m").variant.product
    page = client.get(reverse("catalog:product", args=[product.public_id])).content.decode()
    assert "No earlier price is known" in page


def sale_feed(begins, ends):
    return (
        "id,title,price,sale_price,sale_price_effective_date,availability,quantity\n"
        f"pan,Pan,40 USD,30 USD,{begins.isoformat()}/{ends.isoformat()},in_stock,2\n"
    )


def test_a_dated_sale_begins_and_ends_by_itself_without_another_feed(merchant, load, offer):
    hour = timedelta(hours=1)
    load(merchant, sale_feed(now() + hour, now() + 2 * hour))
    pan = offer("pan")
    assert (pan.price.minor, pan.list_price) == (4_000, None)
    assert pan.prices_at(now() + 1.5 * hour) == (Money(30_000_000, "USD"), Money(40_000_000, "USD"))
    assert turn_sales() == 0
    Offer.objects.filter(pk=pan.pk).update(sale_from=now() - hour)
    assert fact_of(pan).price.minor == 3_000, "before any round of the beat"
    IndexOutbox.objects.all().delete()
    assert (turn_sales(), turn_sales()) == (1, 0)
    assert (offer("pan").price_micros, offer("pan").list_price_micros) == (30_000_000, 40_000_000)
    assert IndexOutbox.objects.count() == 1
    Offer.objects.filter(pk=pan.pk).update(sale_to=now() - timedelta(seconds=1))
    assert fact_of(pan).price.minor == 4_000
    assert turn_sales() == 1
    assert [point.price_micros for point in PricePoint.objects.filter(offer=pan)] == [
        40_000_000, 30_000_000, 40_000_000,
    ]  # fmt: skip


def test_a_price_by_hand_ends_a_dated_sale(merchant, load, offer, mia):
    load(merchant, sale_feed(now() - timedelta(hours=1), now() + timedelta(hours=1)))
    change_offer(
        offer_id=offer("pan").pk, merchant=merchant, by=mia, price=Money(35_000_000, "USD"), list_price=None,
        stock=2, active=True,
    )  # fmt: skip
    assert turn_sales() == 0
    assert (offer("pan").price.minor, offer("pan").sale) == (3_500, None)


@pytest.mark.parametrize(
    ("measure", "base", "per", "cents"),
    [
        ("750 ml", "1 l", "l", 1_600),
        ("750ml", "", "100 ml", 160),
        ("1.5 kg", "", "kg", 800),
        ("500 g", "1 kg", "kg", 2_400),
        ("3 l", "750 ml", "750 ml", 300),
        ("12 ct", "", "ct", 100),
        ("1 gal", "1 floz", "floz", 9),
    ],
)
def test_what_a_unit_costs(measure, base, per, cents):
    found = read_measure(measure, base)
    assert found is not None
    assert found.per == per
    assert found.unit_price(Money.from_decimal(Decimal("12.00"), "USD")).minor == cents


@pytest.mark.parametrize(
    ("measure", "base"),
    [
        ("750", ""),
        ("0 ml", ""),
        ("750 ml", "1 kg"),
        ("1 cup", ""),
        ("x", ""),
        ("1 g", "1001 kg"),
        ("10 kg", "1 mg"),
    ],
)
def test_what_is_no_measure(measure, base):
    assert read_measure(measure, base) is None


def test_a_unit_price_is_on_the_page_and_in_the_protocol(client, merchant, load, offer):
    load(
        merchant,
        "id,title,price,availability,unit_pricing_measure,unit_pricing_base_measure\n"
        "oil,Olive Oil,12.00 USD,in_stock,750 ml,1 l\n",
    )
    product = offer("oil").variant.product
    assert "$16.00 per l" in client.get(reverse("catalog:product", args=[product.public_id])).content.decode()
    told = service.product_detail({"id": product.public_id})["product"]["variants"][0]["unit_price"]
    assert (told["amount"], told["currency"]) == (1_600, "USD")
    assert told["measure"] == {"value": 75, "scale": 2, "unit": "l", "display_text": "0.75 l"}
    assert told["reference"]["unit"] == "l"


def test_a_unit_price_beyond_numbers_takes_no_other_product_along(merchant, load, index):
    """Rows of this kind were once taken."""
    load(
        merchant,
        "id,title,price,availability\noil,Olive Oil,10.00 USD,in_stock\nwax,Olive Wax,1 USD,in_stock\n",
    )
    absurd = {"measure": Decimal("0.000001"), "measure_base": Decimal(9_999_999), "measure_unit": "g"}
    Variant.objects.filter(item_id="oil").update(**absurd)
    index()
    found = service.search({"query": "olive"})["products"]
    assert {one["title"] for one in found} == {"Olive Oil", "Olive Wax"}
    assert not any("unit_price" in variant for one in found for variant in one["variants"])
