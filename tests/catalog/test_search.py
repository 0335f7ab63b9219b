"""Search through its one door: words, meaning, filters, pages, and what happens when parts are away."""

import threading

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from agentstore.kit.money import Money
from agentstore.kit.pagination import MalformedCursor
from marketplace.catalog.models import IndexOutbox, Offer, Product, TextEmbedding
from marketplace.catalog.products import withhold_product
from marketplace.catalog.search import InvalidSearch, SearchFilters, search_catalog
from marketplace.catalog.search import embedder as embedders
from marketplace.catalog.search.fulltext import get_fulltext
from marketplace.catalog.search.fusion import fuse, normalise
from marketplace.catalog.search.indexing import (
    IndexBusy,
    drain_outbox,
    embed_missing,
    forget_stale_vectors,
    rebuild_index,
    writer_lock,
)
from marketplace.catalog.stock import take_stock
from marketplace.catalog.tasks import index_outbox


def titles(query, **filters):
    return [item.title for item in search_catalog(query=query, filters=SearchFilters(**filters)).items]


def usd(amount):
    return Money(amount * 1_000_000, "USD")


def test_an_empty_index_says_so(shop):
    result = search_catalog(query="camera")
    assert (result.items, result.index_empty) == ([], True)


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("camera", "Compact Digital Camera"),
        ("CAMERAS", "Compact Digital Camera"),
        ("something soft to sit on", "Comfy Padded Chair"),
        ("headfones", "Wireless Headphones"),
        ("hedphones wireles", "Wireless Headphones"),
        ("loom", "Cotton Tee"),
        ("t-shirt", "Cotton Tee"),
        ("a bottle of alcohol", "Red Wine"),
    ],
)
def test_words_meanings_and_typos_find(indexed, query, first):
    assert titles(query)[0] == first


def test_without_vectors_words_still_find(shop):
    while drain_outbox():
        pass
    assert not TextEmbedding.objects.exists()
    assert titles("camera") == ["Compact Digital Camera"]


def test_without_the_model_words_still_find(shop, monkeypatch):
    """The model's packages are data that an operator may leave out."""
    monkeypatch.setattr(embedders, "_package_dir", lambda name: None)
    embedders._made.cache_clear()
    embedders.embed_query.cache_clear()
    try:
        while drain_outbox():
            pass
        assert embed_missing() == 0
        assert titles("camera") == ["Compact Digital Camera"]
    finally:
        embedders._made.cache_clear()
        embedders.embed_query.cache_clear()


def test_filters_narrow_every_search(indexed, merchant):
    assert "Desk Lamp" not in titles("")
    assert titles("lamp", in_stock=False)[0] == "Desk Lamp"
    assert titles("", categories=("clothing",)) == ["Cotton Tee"]
    assert titles("", categories=("electronics", "clothing-shirts"), max_price=usd(100)) == [
        "Cotton Tee",
        "Wireless Headphones",
    ]
    assert titles("", brands=("PHOTON",)) == ["Compact Digital Camera"]
    assert titles("", min_price=usd(130)) == ["Compact Digital Camera", "Comfy Padded Chair"]
    assert titles("", ships_to="DE", categories=("electronics",)) == ["Wireless Headphones"]
    assert titles("camera for holidays", ships_to="DE", categories=("electronics-photo",)) == []
    assert titles("", options={"size": ("m", "XL")}) == ["Cotton Tee"]
    assert titles("", options={"size": ("XL",)}) == []
    assert titles("", merchants=(merchant.pk,), categories=("drinks",)) == ["Red Wine"]


@pytest.mark.parametrize("query", ["wine", ""])
def test_the_first_variant_fits_the_filters(indexed, query):
    item = search_catalog(query="tee", filters=SearchFilters(max_price=usd(16))).items[0]
    assert item.variants[0].options["Size"] == "M"
    assert len(item.variants) == 2


def test_facets_count_what_was_found(indexed):
    facets = search_catalog(query="", filters=SearchFilters()).facets
    assert {(facet.value, facet.count) for facet in facets["category"]} >= {
        ("clothing-shirts", 1),
        ("electronics-photo", 1),
    }
    assert {facet.value for facet in facets["brand"]} == {"Loom", "Photon", "Sonus", "Hill"}


def test_price_stock_and_status_are_those_of_this_instant(indexed, offer, product, olivia):
    """Nothing is indexed again here: the index only proposes, PostgreSQL decides."""
    Offer.objects.filter(pk=offer("cam").pk).update(price_micros=1_000_000)
    assert [view.price for view in search_catalog(query="camera").items[0].offers] == [usd(1)]
    assert "Compact Digital Camera" not in titles("camera", min_price=usd(500))
    take_stock(offer_id=offer("chair").pk, quantity=1)
    assert "Comfy Padded Chair" not in titles("chair")
    withhold_product(product_id=product("Red Wine").pk, by=olivia, reason="recalled")
    assert "Red Wine" not in titles("wine")


def test_the_index_follows(indexed, offer, product, index, olivia):
    Offer.objects.filter(pk=offer("lamp").pk).update(stock=4)
    IndexOutbox.objects.create(product_id=product("Desk Lamp").pk)
    withhold_product(product_id=product("Red Wine").pk, by=olivia, reason="recalled")
    index()
    assert titles("lamp")[0] == "Desk Lamp"
    assert get_fulltext().search(query="wine", filters=SearchFilters(), offset=0, limit=9).total == 0
    assert not IndexOutbox.objects.exists()


@pytest.mark.parametrize("query", ["", "wine shirt chair camera headphones"])
def test_pages_follow_each_other_without_gap_or_repeat(indexed, query):
    whole = [item.product_id for item in search_catalog(query=query, limit=50).items]
    walked, cursor = [], None
    while True:
        page = search_catalog(query=query, limit=2, cursor=cursor)
        walked += [item.product_id for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert walked == whole
    assert len(set(whole)) == len(whole) == 5


def test_a_cursor_belongs_to_its_search(indexed):
    cursor = search_catalog(query="", limit=2).next_cursor
    with pytest.raises(MalformedCursor):
        search_catalog(query="wine", cursor=cursor)
    with pytest.raises(MalformedCursor):
        search_catalog(query="", cursor="bm9uc2Vuc2U")


@pytest.mark.parametrize(("query", "limit"), [("x" * 501, 10), ("x", 0), ("x", 51)])
def test_what_is_out_of_bounds_is_refused(db, query, limit):
    with pytest.raises(InvalidSearch):
        search_catalog(query=query, limit=limit)


@pytest.mark.parametrize("query", ['"unbalanced', "a AND (b", "title:x*", "\x00", "☃", "' OR 1=1 --"])
def test_no_text_is_a_syntax_error(indexed, query):
    search_catalog(query=query)


def test_rebuilding_gives_the_same_index_and_loses_no_change(indexed, product):
    before = titles("")
    IndexOutbox.objects.create(product_id=product("Red Wine").pk)
    assert rebuild_index() == 6
    assert titles("") == before
    assert IndexOutbox.objects.count() == 1


def test_a_vector_belongs_to_a_text_and_goes_with_it(indexed, load, shop):
    assert TextEmbedding.objects.count() == Product.objects.count()
    Product.objects.filter(title="Red Wine").update(text_hash="gone")
    assert forget_stale_vectors() == 1


@pytest.mark.django_db(transaction=True)
def test_there_is_one_writer_at_a_time(shop):
    held, done = threading.Event(), threading.Event()

    def rebuild():
        try:
            with writer_lock(wait=True):
                held.set()
                done.wait(20)
        finally:
            connection.close()

    other = threading.Thread(target=rebuild)
    other.start()
    assert held.wait(20)
    try:
        with pytest.raises(IndexBusy):
            drain_outbox()
        index_outbox.apply().get()
        assert IndexOutbox.objects.exists()
    finally:
        done.set()
        other.join()
    index_outbox.apply().get()
    assert not IndexOutbox.objects.exists()
    assert titles("camera")[0] == "Compact Digital Camera"


SCORES = st.dictionaries(st.integers(1, 30), st.floats(0, 50, allow_nan=False), max_size=12)


@given(SCORES)
def test_normalised_scores_keep_their_order_between_0_and_1(scores):
    shares = normalise(scores)
    assert all(0 <= share <= 1 for share in shares.values())
    assert all(shares[a] <= shares[b] for a in scores for b in scores if scores[a] <= scores[b])


@given(SCORES, SCORES)
def test_fusion_keeps_everything_once_and_is_best_first(lexical, dense):
    ranked = fuse(lexical, dense)
    assert {key for key, _ in ranked} == lexical.keys() | dense.keys()
    assert len(ranked) == len({key for key, _ in ranked})
    assert [score for _, score in ranked] == sorted((score for _, score in ranked), reverse=True)
