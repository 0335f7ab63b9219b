"""Feeds from upload to report: atomic per item, resumable, idempotent, streaming."""

import gzip
import io
import json
import threading
import tracemalloc

import pytest
from django.core.files.base import ContentFile
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from agentstore.kit.clock import now
from marketplace.catalog.feeds import (
    UnknownFormat,
    roll_back_import,
    run_import,
    runner,
    start_import,
    start_roll_back,
)
from marketplace.catalog.feeds import reader as feed_reader
from marketplace.catalog.feeds.progress import lock_merchant
from marketplace.catalog.feeds.reader import FeedReader
from marketplace.catalog.feeds.refusals import RowRefused
from marketplace.catalog.feeds.runner import stalled_imports
from marketplace.catalog.models import Category, FeedImport, IndexOutbox, Offer, Product, Variant
from marketplace.catalog.stock import OutOfStock, buy_reserved, release_stock, reserve_stock
from tests.catalog.conftest import FEED
from tests.conversations.world import until
from tests.database import somebody_waits_for_a_lock

ITEM = {"id": "x", "title": "X", "price": "1 USD", "availability": "in_stock"}
HEADER = "id,title,price,availability,quantity\n"


def counts(report):
    return (report.accepted, report.changed, report.unchanged, report.refused)


def lines(number, *, price="9.00 USD"):
    return HEADER + "".join(f"i{n},Thing {n},{price},in_stock,4\n" for n in range(number))


def test_variants_gather_in_products(shop):
    tee = Product.objects.get(group_id="tee")
    assert tee.title == "Cotton Tee"
    assert [variant.title for variant in tee.variants.all()] == ["Blue / S", "Blue / M"]
    assert tee.category == Category.objects.get(slug="clothing--shirts")
    assert Category.objects.get(slug="clothing--shirts").parent == Category.objects.get(slug="clothing")
    sale = Offer.objects.get(variant__item_id="tee-m")
    assert (sale.price_micros, sale.list_price_micros) == (15_000_000, 20_000_000)
    assert Offer.objects.get(variant__item_id="cam").ships_to == ["CA", "US"]


def test_the_same_feed_again_changes_nothing(shop, load):
    IndexOutbox.objects.all().delete()
    assert counts(load(shop, FEED)) == (0, 0, 7, 0)
    assert not IndexOutbox.objects.exists()


def test_only_what_changed_is_changed_and_announced(shop, load):
    IndexOutbox.objects.all().delete()
    changed = FEED.replace("899.99 USD", "799.99 USD").replace("Desk Lamp", "Tall Lamp")
    assert counts(load(shop, changed)) == (0, 2, 5, 0)
    announced = set(IndexOutbox.objects.values_list("product_id", flat=True))
    assert announced == set(Product.objects.filter(group_id__in=["cam", "lamp"]).values_list("pk", flat=True))


def test_a_feed_says_what_is_true_and_so_sets_stock_back(shop, load, offer):
    reserve_stock(offer_id=offer("cam").pk, quantity=1, holder="h", until=now())
    buy_reserved(holder="h")
    assert counts(load(shop, FEED)) == (0, 1, 6, 0)
    assert offer("cam").stock == 2


def test_a_feed_neither_sells_nor_forgets_what_a_checkout_holds(shop, load, offer):
    cam = offer("cam").pk
    reserve_stock(offer_id=cam, quantity=2, holder="h", until=now())
    load(shop, FEED.replace("899.99 USD,,in_stock,2", "799.99 USD,,in_stock,1"))
    assert (offer("cam").price_micros, offer("cam").stock) == (799_990_000, 0)
    with pytest.raises(OutOfStock):
        reserve_stock(offer_id=cam, quantity=1, holder="other", until=now())
    release_stock(holder="h")
    assert offer("cam").stock == 1, "the feed said one, whatever was held when it came"


def test_refused_lines_come_back_with_line_and_reason(merchant, load):
    feed = HEADER + (
        'a,"Two\nlines",1 USD,in_stock,1\nb,,1 USD,in_stock,1\nc,C,x,in_stock,1\nd,D,1 USD,in_stock,1,extra\n'
    )
    report = load(merchant, feed)
    assert counts(report) == (1, 0, 0, 3)
    assert [(row.line, row.item_id, row.code) for row in report.refusals.all()] == [
        (4, "b", "title_missing"),
        (5, "c", "price_unreadable"),
        (6, "", "too_many_cells"),
    ]
    assert [change.to_status for change in report.status_changes.all()] == ["waiting", "running", "done"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("f.tsv", b"id\ttitle\tprice\tavailability\nx\tX\t1 USD\tin_stock\n"),
        ("f.csv", "\ufeffid,title,price,availability\nx,X,1 USD,in_stock\n".encode()),
        (
            "f.jsonl",
            json.dumps({"id": "x", "title": "X", "price": "1 USD", "availability": "in_stock"}).encode(),
        ),
    ],
)
def test_formats(merchant, load, name, content, pack):
    assert counts(load(merchant, pack(content), filename=name)) == (1, 0, 0, 0)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"name,cost\n1,2\n", "lacks the columns id, price, availability"),
        (gzip.compress(FEED.encode())[:60], "damaged"),
    ],
    ids=["empty", "no header", "damaged"],
)
def test_a_file_that_is_no_feed_fails_with_words(merchant, load, content, words):
    report = load(merchant, content)
    assert report.status == FeedImport.Status.FAILED
    assert words in report.error


@pytest.mark.parametrize("name", ["f.csv", "f.jsonl"])
def test_a_line_that_is_too_long_takes_no_other_with_it(merchant, load, name):
    good = [f"{n},X,1 USD,in_stock" for n in "ab"]
    if name == "f.jsonl":
        good = [json.dumps({**ITEM, "id": n}) for n in "ab"]
    top = "id,title,price,availability" if name == "f.csv" else "{}"
    report = load(merchant, "\n".join([top, good[0], "x" * 2_500_000, good[1]]), filename=name)
    assert report.accepted == 2
    assert [(row.line, row.code) for row in report.refusals.all() if row.line > 1] == [(3, "line_too_long")]


def test_a_row_whose_quotes_go_on_and_on_ends_somewhere():
    endless = ('"' + ("x" * 40_000 + "\n") * 3 + '",') * 20
    first, *_ = FeedReader(io.BytesIO((HEADER + endless).encode()), format="csv")
    assert isinstance(first.cells, RowRefused)
    assert (first.line, first.cells.code) == (26, "line_too_long")


def test_a_batch_ends_by_its_characters_too(merchant, load):
    long = dict.fromkeys(("description", "color", "size", "material", "pattern", "weight"), "x" * 20000)
    feed = "".join(json.dumps({**ITEM, **long, "id": str(n)}) + "\n" for n in range(80))
    with CaptureQueriesContext(connection) as asked:
        assert load(merchant, feed, filename="f.jsonl").accepted == 80
    batches = [query for query in asked.captured_queries if "pg_advisory_xact_lock" in query["sql"]]
    assert len(batches) == 5, "taken in, begun, and 9.6 million characters in batches of four"


@pytest.mark.parametrize("pad", ["x", " "])
def test_a_cell_that_is_too_long_is_never_held(pad):
    line = json.dumps({"id": "a", "title": f"{pad * 900_000}x"}).encode()
    (read,) = FeedReader(io.BytesIO(line), format="jsonl")
    if isinstance(read.cells, RowRefused):
        assert (pad, read.cells.code, read.item_id) == ("x", "title_too_long", "a")
    else:
        assert (pad, read.cells) == (" ", {"id": "a", "title": "x"})


def test_an_unknown_ending_is_refused_at_the_door(merchant):
    with pytest.raises(UnknownFormat):
        start_import(merchant=merchant, source=ContentFile(b"x", name="feed.xls"), by=None)


def test_a_dead_worker_loses_and_doubles_nothing(merchant, load):
    """Stopped between two batches, as by a kill, the import goes on behind the last one."""
    started = start_import(
        merchant=merchant, source=ContentFile(lines(25).encode(), name="f.csv"), by=None, enqueue=False
    )
    FeedImport.objects.filter(pk=started.pk).update(lines_read=11, accepted=10, status="running")
    report = run_import(import_id=started.pk, batch=4)
    assert counts(report) == (25, 0, 0, 0)
    assert Variant.objects.count() == 15
    assert counts(run_import(import_id=started.pk)) == (25, 0, 0, 0)


def test_an_import_that_nobody_works_on_is_found(merchant):
    started = start_import(
        merchant=merchant, source=ContentFile(lines(1).encode(), name="f.csv"), by=None, enqueue=False
    )
    assert stalled_imports() == []
    FeedImport.objects.filter(pk=started.pk).update(touched_at="2020-01-01T00:00Z")
    assert stalled_imports() == [started.pk]


def test_the_last_line_of_an_item_wins(merchant, load):
    report = load(merchant, HEADER + "a,A,1 USD,in_stock,1\nb,B,1 USD,in_stock,1\na,A,2 USD,in_stock,1\n")
    assert counts(report) == (2, 1, 0, 0)
    assert Offer.objects.get(variant__item_id="a").price_micros == 2_000_000


def test_one_id_in_two_spellings_is_one_item(merchant, load, offer):
    feed = HEADER + "a b,A,{0} USD,in_stock,1\na  b,A,{1} USD,in_stock,1\n"
    load(merchant, feed.format(1, 1))
    report = load(merchant, feed.format(2, 3))
    assert (counts(report), offer("a b").price.minor) == ((0, 2, 0, 0), 300)
    start_roll_back(import_id=report.pk, merchant=merchant, by=None, enqueue=False)
    roll_back_import(import_id=report.pk)
    assert offer("a b").price.minor == 100


def test_item_ids_are_a_merchants_own(merchant, load, mia):
    from agentstore.identity.services import create_organization

    other = create_organization(kind="merchant", name="Other House", owner=mia)
    load(merchant, lines(3))
    assert counts(load(other, lines(3, price="5.00 USD"))) == (3, 0, 0, 0)
    assert Offer.objects.filter(merchant=merchant, price_micros=9_000_000).count() == 3


@pytest.mark.django_db(transaction=True)
def test_two_workers_on_one_import_count_every_line_once(merchant):
    started = start_import(
        merchant=merchant, source=ContentFile(lines(60).encode(), name="f.csv"), by=None, enqueue=False
    )

    def work():
        try:
            run_import(import_id=started.pk, batch=5)
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    report = FeedImport.objects.get(pk=started.pk)
    while report.is_open:
        report = run_import(import_id=started.pk, batch=5)
    assert counts(report) == (60, 0, 0, 0)
    assert Variant.objects.count() == 60


@pytest.mark.django_db(transaction=True)
def test_a_second_run_of_an_import_steps_back_at_once(merchant):
    started = start_import(
        merchant=merchant, source=ContentFile(lines(3).encode(), name="f.csv"), by=None, enqueue=False
    )
    FeedImport.objects.filter(pk=started.pk).update(status="running")

    def work():
        try:
            run_import(import_id=started.pk)
        finally:
            connection.close()

    first = threading.Thread(target=work)
    with transaction.atomic():
        # The first run waits for the merchant's lock in the midst of its batch.
        lock_merchant(merchant.pk)
        first.start()
        until(somebody_waits_for_a_lock)
        second = run_import(import_id=started.pk)
        assert (second.status, counts(second)) == ("running", (0, 0, 0, 0))
    first.join()
    assert counts(run_import(import_id=started.pk)) == (3, 0, 0, 0)


BLANK = b" " * 999_998 + b"\r\n"


@pytest.mark.parametrize("name", ["f.csv", "f.jsonl"])
def test_a_file_that_unpacks_without_end_is_given_up(merchant, load, name):
    report = load(merchant, gzip.compress(HEADER.encode() + BLANK * 100), filename=name)
    assert report.status == FeedImport.Status.FAILED
    assert "unpacks to far more" in report.error


@pytest.mark.parametrize("name", ["f.csv", "f.jsonl"])
def test_blank_lines_have_an_end_and_are_signs_of_life(merchant, load, name, monkeypatch):
    monkeypatch.setattr(feed_reader, "MOST_LINES", 20_000)
    monkeypatch.setattr(runner, "BEAT_SECONDS", 0)
    with CaptureQueriesContext(connection) as asked:
        report = load(merchant, HEADER + "\n" * 30_000, filename=name)
    assert (report.status, report.error) == ("failed", "The file has more than 20,000 lines.")
    beats = [query for query in asked.captured_queries if 'SET "touched_at"' in query["sql"]]
    assert len(beats) == 4


def test_reading_takes_constant_memory():
    def peak(number):
        source = io.BytesIO(gzip.compress(lines(number).encode()))
        tracemalloc.start()
        assert sum(1 for _ in FeedReader(source, format="csv")) == number
        _, top = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return top

    assert peak(20_000) < peak(1_000) + 500_000


def test_a_refused_line_may_be_named_by_anything(load, merchant):
    lines = "".join(json.dumps({"id": name, "title": ""}) + "\n" for name in ("a\x00", "b\ud800"))
    report = load(merchant, lines, filename="feed.jsonl")
    assert (report.status, report.refused) == ("done", 2)
    assert [row.item_id for row in report.refusals.all()] == ["a\ufffd", "b\ufffd"]
