"""One line of a feed: what is understood and what is refused. Pure."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.catalog.feeds.columns import canonical_name, canonical_row
from marketplace.catalog.feeds.items import FeedItem, read_item
from marketplace.catalog.feeds.prices import read_price
from marketplace.catalog.feeds.refusals import RowRefused

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
LINE = {"id": "a", "title": "Mug", "price": "12.99 USD", "availability": "in_stock", "quantity": "3"}


def item(**cells) -> FeedItem:
    return read_item({**LINE, **cells}, currency="USD", at=NOON)


def code(**cells) -> str:
    with pytest.raises(RowRefused) as refused:
        item(**cells)
    assert refused.value.message
    return refused.value.code


@given(st.integers(min_value=1, max_value=99_999_999), st.integers(min_value=0, max_value=99))
def test_a_price_is_read_to_the_cent(whole, cents):
    for text in (f"{whole}.{cents:02} USD", f"USD {whole}.{cents:02}", f" {whole}.{cents:02} "):
        assert read_price(text, currency="USD").micros == whole * 1_000_000 + cents * 10_000


@given(
    st.dictionaries(st.sampled_from(sorted([*LINE, "gtin", "sale_price", "ships_to", "rating"])), st.text())
)
def test_any_text_is_an_item_or_a_refusal(cells):
    try:
        found = read_item(cells, currency="USD", at=NOON)
    except RowRefused:
        return
    assert found.prices.price.micros > 0
    assert found.stock >= 0


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"id": " "}, "id_missing"),
        ({"title": ""}, "title_missing"),
        ({"price": "12,99 USD"}, "price_unreadable"),
        ({"price": "0.00 USD"}, "price_not_positive"),
        ({"price": "0.001 USD"}, "price_too_fine"),
        ({"price": "12.99 EUR"}, "currency_not_sold_here"),
        ({"price": "USD 12.99 USD"}, "currency_not_sold_here"),
        ({"sale_price": "13.99 USD"}, "sale_price_above_price"),
        ({"availability": "perhaps"}, "availability_unknown"),
        ({"quantity": "-1"}, "quantity_unreadable"),
        ({"quantity": "1.5"}, "quantity_unreadable"),
        ({"quantity": "NaN"}, "quantity_unreadable"),
        ({"quantity": "1e999999999"}, "quantity_unreadable"),
        ({"title": "half \ud83d a smile"}, "unreadable_text"),
        ({"gtin": "4006381333932"}, "gtin_wrong"),
        ({"gtin": "12"}, "gtin_unreadable"),
        ({"gtin": "٤٠٠٦٣٨١٣٣٣٩٣١"}, "gtin_unreadable"),
        ({"price": "१२.99 USD"}, "price_unreadable"),
        ({"unit_pricing_measure": "٧ ml"}, "unit_pricing_measure_unreadable"),
        (
            {"unit_pricing_measure": "0.000001 g", "unit_pricing_base_measure": "9999999 g"},
            "unit_pricing_measure_unreadable",
        ),
        ({"ships_to": "Germany"}, "country_unknown"),
        ({"title": "caf\ufffd"}, "unreadable_text"),
        ({"title": "x" * 301}, "title_too_long"),
        ({"rating": "11"}, "rating_unreadable"),
        ({"expiration_date": "soon"}, "expiration_date_unreadable"),
        ({"expiration_date": "0001-01-01T00:00:00+14:00"}, "expiration_date_unreadable"),
        ({"unit_pricing_measure": "a lot"}, "unit_pricing_measure_unreadable"),
        (
            {"sale_price": "9 USD", "sale_price_effective_date": "2026-06-02/2026-06-01"},
            "sale_price_effective_date_reversed",
        ),
    ],
)
def test_a_refusal_names_its_reason(cells, expected):
    assert code(**cells) == expected


def test_a_sale_shows_the_price_before():
    sale = item(sale_price="9.99 USD")
    assert (str(sale.prices.price), str(sale.prices.list_price)) == ("$9.99", "$12.99")
    assert sale.prices.sale is None, "it has no dates"


@pytest.mark.parametrize(
    ("window", "price"),
    [
        ("2026-05-31T00:00+00:00/2026-06-02T00:00+00:00", 9_990_000),
        ("2026-06-02T00:00+00:00/2026-06-03T00:00+00:00", 12_990_000),
    ],
)
def test_a_dated_sale_is_on_within_its_dates(window, price):
    prices = item(sale_price="9.99 USD", sale_price_effective_date=window).prices
    assert prices.price.micros == price
    assert (prices.columns["regular_micros"], prices.columns["sale_micros"]) == (12_990_000, 9_990_000)


@pytest.mark.parametrize(
    ("availability", "quantity", "stock"),
    [
        ("in stock", "7", 7),
        ("https://schema.org/InStock", "", 1),
        ("preorder", "7", 0),
        ("out-of-stock", "", 0),
    ],
)
def test_stock_is_never_invented(availability, quantity, stock):
    assert item(availability=availability, quantity=quantity).stock == stock


def test_what_google_and_acp_call_differently_is_the_same():
    assert (
        canonical_name("g:google_product_category")
        == canonical_name("Product Category")
        == "product_category"
    )
    assert canonical_name("inventory_quantity") == canonical_name("Sell on Google quantity") == "quantity"
    assert canonical_name("internal_margin") is None
    assert canonical_row(
        {"Price": 12.5, "adult": True, "ships_to": ["US", "DE"], "nested": {}, "gtin": None}
    ) == {
        "price": "12.5",
        "adult": "yes",
        "ships_to": "US,DE",
    }


def test_the_rest_of_a_line():
    found = item(
        gtin="4006381333931", adult="yes", shipping="US:CA:Overnight:16.00 USD,DE:::4.90 EUR", rating="4.257",
        product_category="Home & Garden > Kitchen >  > Mugs", color="Blue", size="L", material="clay",
        custom_variant1_category="Handle", custom_variant1_option="Left",
    )  # fmt: skip
    assert found.gtin == "4006381333931"
    assert found.min_age == 18
    assert found.ships_to == ("DE", "US")
    assert found.rating_value == Decimal("4.26")
    assert found.category == ("Home & Garden", "Kitchen", "Mugs")
    assert found.variant_title == "Blue / L / Left"
    assert found.attributes == (("material", "clay"),)
    assert found.group_id == "a"
    assert found.photos is None


def test_photographs_by_address_keep_their_commas():
    found = item(
        image_link="https://x.example/a,b.jpg", additional_image_link="https://x.example/c.jpg,http://y/d"
    )
    assert found.photos == ("https://x.example/a,b.jpg", "https://x.example/c.jpg", "http://y/d")
    assert item(image_link="").photos == ()
