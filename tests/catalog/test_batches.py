"""What the database and a merchant's feed may do to a batch of lines."""

import json

import pytest
from django.db import OperationalError, connection

from marketplace.catalog.categories import ensure_categories
from marketplace.catalog.feeds import groups, run_import
from marketplace.catalog.models import Category, FeedImport, Offer, Variant
from tests.catalog.test_imports import HEADER, counts, lines


def object_to(item_id, *, state):
    """A trigger stands for whatever PostgreSQL may object to."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION pg_temp.no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF NEW.item_id = '{item_id}' THEN RAISE SQLSTATE '{state}'; END IF; RETURN NEW; END $$;"
            "CREATE TRIGGER no BEFORE INSERT ON catalog_variant FOR EACH ROW EXECUTE FUNCTION pg_temp.no()"
        )


def test_one_item_that_the_database_refuses_takes_no_other_with_it(merchant, load):
    object_to("i13", state="P0001")
    report = load(merchant, lines(20))
    assert counts(report) == (19, 0, 0, 1)
    refusal = report.refusals.get()
    assert (refusal.line, refusal.item_id, refusal.code) == (15, "i13", "not_storable")


def test_the_databases_own_trouble_is_no_lines_fault(merchant, load):
    object_to("i7", state="40P01")
    with pytest.raises(OperationalError):
        load(merchant, lines(9), batch=5)
    stopped = FeedImport.objects.get()
    assert (stopped.status, stopped.lines_read, counts(stopped)) == ("running", 6, (5, 0, 0, 0))
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER no ON catalog_variant")
    assert counts(run_import(import_id=stopped.pk)) == (9, 0, 0, 0)


def test_what_is_too_large_for_an_index_is_a_bad_line(merchant, load):
    address = "https://shop.example/" + "".join(chr(0x4E00 + n * 7 % 20_000) for n in range(1_900))
    item = {"title": "X", "price": "1 USD", "availability": "in_stock"}
    feed = [{**item, "id": "a"}, {**item, "id": "b", "image_link": address}]
    report = load(merchant, "\n".join(map(json.dumps, feed)), filename="f.jsonl")
    assert (counts(report), report.refusals.get().code) == ((1, 0, 0, 1), "not_storable")


@pytest.mark.parametrize("names", ["abcdefghij", "абвгдежзик"])
def test_new_categories_are_made_in_one_order(db, names):
    ensure_categories([(names[n % 10] * 3, f"Sort {n}") for n in range(40)])
    made = Category.objects.order_by("pk").values_list("path", flat=True)
    assert list(made) == sorted(made)


def test_a_product_has_so_many_variants_and_no_more(merchant, load, monkeypatch):
    monkeypatch.setattr(groups, "MOST_VARIANTS", 3)
    top = HEADER.replace("quantity", "item_group_id")
    feed = top + "".join(f"i{n},T,1 USD,in_stock,g\n" for n in range(5)) + "o,O,1 USD,in_stock,\n"
    report = load(merchant, feed, batch=2)
    assert counts(report) == (4, 0, 0, 2)
    assert [(row.line, row.item_id, row.code) for row in report.refusals.all()] == [
        (5, "i3", "too_many_variants"),
        (6, "i4", "too_many_variants"),
    ]
    again = load(
        merchant, feed.replace("1 USD", "2 USD").replace("o,O,2 USD,in_stock,", "o,O,2 USD,in_stock,g")
    )
    assert counts(again) == (0, 3, 0, 3), "those that it has go on, and none may move in"
    assert Variant.objects.filter(product__group_id="g").count() == 3
    assert Offer.objects.get(variant__item_id="o").price.minor == 100
