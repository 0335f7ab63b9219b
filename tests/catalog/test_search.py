"""Search through its one door: words, meaning, filters, pages, and what happens when parts are away."""

import threading

import pytest
from django.core.cache import cache
from django.db import connection

from agentstore.identity.services import create_organization
from agentstore.kit.clock import now
from agentstore.kit.money import Money
from agentstore.kit.pagination import MalformedCursor
from marketplace.catalog import tasks
from marketplace.catalog.models import IndexOutbox, Offer, Product, TextEmbedding, WaitingText
from marketplace.catalog.products import withhold_product
from marketplace.catalog.search import InvalidSearch, SearchFilters, search_catalog
from marketplace.catalog.search import embedder as embedders
from marketplace.catalog.search.embedding import embed_waiting, forget_stale_vectors
from marketplace.catalog.search.hybrid import get_backend
from marketplace.catalog.search.indexing import IndexBusy, drain_outbox, rebuild_index, writer_lock
from marketplace.catalog.stock import reserve_stock
from marketplace.catalog.tasks import index_outbox
from tests.catalog.conftest import FEED


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
        assert embed_waiting() == 0
        assert titles("camera") == ["Compact Digital Camera"]
    finally:
        embedders._made.cache_clear()
        embedders.embed_query.cache_clear()


def test_filters_narrow_every_search(indexed, merchant):
    assert "Desk Lamp" not in titles("")
    assert titles("lamp", in_stock=False)[0] == "Desk Lamp"
    assert titles("", categories=("clothing",)) == ["Cotton Tee"]
    assert titles("", categories=("electronics", "clothing--shirts"), max_price=usd(100)) == [
        "Cotton Tee",
        "Wireless Headphones",
    ]
    assert titles("", brands=("PHOTON",)) == ["Compact Digital Camera"]
    assert titles("", min_price=usd(130)) == ["Compact Digital Camera", "Comfy Padded Chair"]
    assert titles("", ships_to="DE", categories=("electronics",)) == ["Wireless Headphones"]
    assert titles("camera for holidays", ships_to="DE", categories=("electronics--photo",)) == []
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
        ("clothing--shirts", 1),
        ("electronics--photo", 1),
    }
    assert {facet.value for facet in facets["brand"]} == {"Loom", "Photon", "Sonus", "Hill"}


def test_price_stock_and_status_are_those_of_this_instant(indexed, offer, product, olivia):
    """Nothing is indexed again here: the index only proposes, PostgreSQL decides."""
    Offer.objects.filter(pk=offer("cam").pk).update(price_micros=1_000_000)
    assert [view.price for view in search_catalog(query="camera").items[0].offers] == [usd(1)]
    assert "Compact Digital Camera" not in titles("camera", min_price=usd(500))
    reserve_stock(offer_id=offer("chair").pk, quantity=1, holder="h", until=now())
    assert "Comfy Padded Chair" not in titles("chair")
    withhold_product(product_id=product("Red Wine").pk, by=olivia, reason="recalled")
    assert "Red Wine" not in titles("wine")


def test_the_index_follows(indexed, offer, product, index, olivia):
    Offer.objects.filter(pk=offer("lamp").pk).update(on_hand=4)
    IndexOutbox.objects.create(product_id=product("Desk Lamp").pk)
    withhold_product(product_id=product("Red Wine").pk, by=olivia, reason="recalled")
    index()
    assert titles("lamp")[0] == "Desk Lamp"
    assert get_backend().search(query="", filters=SearchFilters(categories=("drinks",)), limit=9).total == 0
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


def test_pages_of_a_ranking_hold_still_while_the_index_moves(indexed, offer, index, product, olivia):
    query = "wine shirt chair camera headphones"
    whole = [item.title for item in search_catalog(query=query, limit=50).items]
    first = search_catalog(query=query, limit=2)
    withhold_product(product_id=product(whole[0]).pk, by=olivia, reason="recalled")
    Product.objects.filter(title=whole[4]).update(title="Wine shirt chair camera headphones")
    IndexOutbox.objects.create(product_id=product("Wine shirt chair camera headphones").pk)
    index()
    rest = search_catalog(query=query, limit=50, cursor=first.next_cursor)
    assert [item.product_id for item in rest.items[:2]] == [product(title).pk for title in whole[2:4]]
    assert len(rest.items) == 3


def test_a_ranking_that_is_forgotten_is_made_again(indexed):
    query = "wine shirt chair camera headphones"
    first = search_catalog(query=query, limit=2)
    cache.clear()
    rest = search_catalog(query=query, limit=50, cursor=first.next_cursor)
    ids = [item.product_id for item in [*first.items, *rest.items]]
    assert ids == [item.product_id for item in search_catalog(query=query, limit=50).items]


def test_a_ranking_that_was_made_again_holds_still_as_well(indexed, index):
    query = "wine shirt chair camera headphones"
    whole = [item.product_id for item in search_catalog(query=query, limit=50).items]
    first = search_catalog(query=query, limit=1)
    cache.clear()
    second = search_catalog(query=query, limit=1, cursor=first.next_cursor)
    Product.objects.filter(pk=whole[4]).update(title="Wine shirt chair camera headphones")
    IndexOutbox.objects.create(product_id=whole[4])
    index()
    third = search_catalog(query=query, limit=1, cursor=second.next_cursor)
    assert [item.product_id for item in third.items] == whole[2:3]


def test_an_index_of_another_release_is_built_anew(indexed, data_dir):
    """The old one is left alone for a day: processes of the old release read it."""
    (generation,) = (data_dir / "search").glob("v*-*/")
    generation.rename(generation.with_name("v0-old"))
    assert search_catalog(query="wine").index_empty
    index_outbox.apply().get()
    assert titles("wine")[0] == "Red Wine"
    assert (data_dir / "search" / "v0-old").is_dir()


@pytest.mark.parametrize("query", ["", "soft shirts"])
def test_a_later_page_has_facets_though_the_first_had_none(indexed, query):
    first = search_catalog(query=query, limit=1, facets=False)
    assert first.facets == {}
    second = search_catalog(query=query, limit=1, cursor=first.next_cursor)
    assert second.facets == search_catalog(query=query, limit=1).facets != {}


def test_a_cursor_belongs_to_its_search(indexed):
    cursor = search_catalog(query="", limit=2).next_cursor
    with pytest.raises(MalformedCursor):
        search_catalog(query="wine", cursor=cursor)
    with pytest.raises(MalformedCursor):
        search_catalog(query="", cursor="bm9uc2Vuc2U")


def test_a_search_explains_itself_on_every_page(indexed):
    first = search_catalog(query="soft shirts", limit=1, explain=True)
    assert first.reading == ("soft", "shirt")
    assert first.why[first.items[0].product_id].terms == ("soft", "shirt")
    second = search_catalog(query="soft shirts", limit=1, cursor=first.next_cursor, explain=True)
    assert second.why.keys() == {second.items[0].product_id}
    assert search_catalog(query="soft shirts").why == {}


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


def test_a_vector_belongs_to_a_text_and_goes_with_it(indexed, load, charlie, index):
    """Another shop that says the same of the same thing costs no second vector."""
    assert TextEmbedding.objects.count() == Product.objects.count() == 6
    twin = create_organization(kind="merchant", name="Twin", owner=charlie)
    load(twin, FEED)
    index()
    assert (Product.objects.count(), TextEmbedding.objects.count()) == (12, 6)
    assert titles("something to sit on")[:2] == ["Comfy Padded Chair"] * 2
    Product.objects.filter(title="Red Wine").update(text_hash="gone")
    assert forget_stale_vectors() == 1


def test_texts_get_vectors_though_the_outbox_never_ends(shop, monkeypatch):
    """As while a long feed is read: another change is there whenever one was dealt with."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION pg_temp.again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " INSERT INTO catalog_indexoutbox (product_id, at) VALUES (OLD.product_id, now());"
            " RETURN OLD; END $$;"
            "CREATE TRIGGER again AFTER DELETE ON catalog_indexoutbox FOR EACH ROW EXECUTE FUNCTION pg_temp.again()"
        )
    monkeypatch.setattr(tasks, "_DRAIN_SECONDS", 0)
    index_outbox()
    assert IndexOutbox.objects.exists()
    assert TextEmbedding.objects.count() == 6


def test_a_text_that_nobody_uses_any_more_is_not_embedded(shop, product, olivia):
    drain_outbox()
    assert WaitingText.objects.count() == 6
    withhold_product(product_id=product("Red Wine").pk, by=olivia, reason="recalled")
    assert [embed_waiting(limit=4), embed_waiting(limit=4), embed_waiting()] == [4, 2, 0]
    assert (WaitingText.objects.count(), TextEmbedding.objects.count()) == (0, 5)


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
