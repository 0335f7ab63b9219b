"""The catalogue as a file that makes it again, and the offers."""

import csv
import io
from pathlib import Path

import pytest
from django.urls import reverse

from agentstore.identity.services import create_organization
from marketplace.catalog.models import Offer, Product

RICH = (Path(__file__).parent / "rich_feed.csv").read_text()


def content(answer) -> str:
    return b"".join(answer.streaming_content).decode()


@pytest.fixture
def download(client, mia, merchant):
    client.force_login(mia)
    return lambda name: content(client.get(reverse(f"catalog:{name}", args=[merchant.slug])))


def test_the_exported_catalogue_imports_as_nothing_new(shop, load, download):
    assert load(shop, RICH).refused == 0
    exported = download("catalogue-csv")
    again = load(shop, exported)
    assert (again.unchanged, again.refused, again.changed, again.accepted) == (9, 0, 0, 0)


def test_the_exported_catalogue_makes_the_same_elsewhere(shop, load, download, charlie):
    load(shop, RICH)
    elsewhere = create_organization(kind="merchant", name="Elsewhere", owner=charlie)
    assert load(elsewhere, download("catalogue-csv")).accepted == 9

    def made(owner):
        fields = [
            "title",
            "description",
            "brand",
            "category",
            "attributes",
            "rating_value",
            "rating_count",
            "min_age",
        ]
        described = Product.objects.filter(owner=owner).order_by("group_id").values_list(*fields)
        columns = [
            "price_micros",
            "list_price_micros",
            "sale_micros",
            "sale_from",
            "on_hand",
            "ships_to",
            "valid_to",
        ]
        offers = Offer.objects.filter(merchant=owner).order_by("variant__item_id")
        return list(described), list(offers.values_list("variant__options", "variant__measure", *columns))

    assert made(shop) == made(elsewhere)


def test_the_offers_as_they_are_now(shop, download, offer):
    Offer.objects.filter(pk=offer("cam").pk).update(reserved=1)
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(download("offers-csv")))}
    assert len(rows) == 7
    assert (rows["tee-m"]["price"], rows["tee-m"]["list_price"], rows["tee-m"]["title"]) == (
        "15", "20", "Cotton Tee Blue / M",
    )  # fmt: skip
    assert [rows["cam"][name] for name in ("on_hand", "reserved", "stock", "active")] == [
        "2",
        "1",
        "1",
        "yes",
    ]
    assert rows["cam"]["offer"] == offer("cam").public_id


def test_an_empty_shop_exports_its_columns(download):
    assert download("catalogue-csv").startswith("id,item_group_id,")
    assert download("offers-csv").count("\n") == 1


def test_charlie_exports_nothing(client, charlie, shop):
    doors = [reverse(f"catalog:{name}", args=[shop.slug]) for name in ("catalogue-csv", "offers-csv")]
    assert [client.get(door).status_code for door in doors] == [302, 302]
    client.force_login(charlie)
    assert [client.get(door).status_code for door in doors] == [404, 404]
    mine = create_organization(kind="merchant", name="Charlie's", owner=charlie)
    assert content(client.get(reverse("catalog:offers-csv", args=[mine.slug]))).count("\n") == 1
