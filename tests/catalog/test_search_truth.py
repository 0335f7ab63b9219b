"""Whether a product passes the filters is told twice: of what was read whole, and by PostgreSQL. Both say the same."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentstore.kit.clock import now
from agentstore.kit.money import Money
from marketplace.catalog.models import Offer, Product
from marketplace.catalog.reading import read_products
from marketplace.catalog.search import SearchFilters, search_catalog
from marketplace.catalog.search.truth import passing

amounts = st.none() | st.sampled_from([5, 15, 16, 18, 90, 150, 900]).map(
    lambda n: Money(n * 1_000_000, "USD")
)
some = st.lists
filters = st.builds(
    SearchFilters,
    categories=some(st.sampled_from(["clothing", "clothing--shirts", "electronics", "drinks", "toys"])).map(
        tuple
    ),
    brands=some(st.sampled_from(["LOOM", "photon", "Sonus", "Nobody"])).map(tuple),
    min_price=amounts,
    max_price=amounts | st.just(Money(20_000_000, "EUR")),
    ships_to=st.sampled_from(["", "DE", "US", "FR"]),
    in_stock=st.booleans(),
    options=st.dictionaries(
        st.sampled_from(["size", "Color"]), st.sampled_from([("m",), ("S", "L"), ("red",)])
    ),
    attributes=st.dictionaries(st.just("material"), st.sampled_from([("cotton",), ("Oak", "steel")])),
)


@pytest.fixture
def offered(shop, olivia):
    """One is switched off, one over, one not begun, one withheld."""
    off, over, early, _ = Offer.objects.order_by("pk")[:4]
    Offer.objects.filter(pk=off.pk).update(active=False)
    Offer.objects.filter(pk=over.pk).update(valid_to=now() - timedelta(1))
    Offer.objects.filter(pk=early.pk).update(valid_from=now() + timedelta(1))
    Product.objects.filter(pk=Product.objects.latest("pk").pk).update(status="withheld")


@given(wanted=filters)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_say_the_same(offered, wanted):
    every = list(Product.objects.values_list("pk", flat=True))
    whole = {view.product_id for view in read_products(ids=every) if wanted.fits_product(view)}
    assert whole == passing(every, wanted)


def test_a_page_is_filled_from_behind_what_no_longer_passes(load, merchant, index):
    rows = "".join(f"i{n},Blue mug {n},{n + 1} USD,in_stock,5,Home > Mugs\n" for n in range(40))
    load(merchant, f"id,title,price,availability,quantity,product_category\n{rows}")
    index()
    before = [item.title for item in search_catalog(query="blue mug", limit=40).items]
    gone = before[:7] + before[9:25]
    Offer.objects.filter(variant__product__title__in=gone).update(active=False)
    first = search_catalog(query="blue mug", limit=10)
    assert [item.title for item in first.items] == [*before[7:9], *before[25:33]]
    second = search_catalog(query="blue mug", limit=10, cursor=first.next_cursor)
    assert [item.title for item in second.items] == before[33:]
    assert second.next_cursor is None
