"""Feeds that the store fetches from merchants' addresses."""

import gzip
from datetime import timedelta

import pytest
from django.db import connection
from django.urls import reverse

from agentstore.identity.services import create_organization
from agentstore.kit.clock import now
from agentstore.kit.errors import NotFound
from agentstore.kit.fetch import FetchRefused
from marketplace.catalog.feeds import run_import
from marketplace.catalog.feeds.pulling import (
    MOST_SOURCES,
    SourceExists,
    add_source,
    due_sources,
    pause_source,
    pull_now,
    pull_source,
    remove_source,
)
from marketplace.catalog.models import FeedImport, FeedPull, FeedSource, Offer
from tests.catalog.conftest import FEED
from tests.web import body, lead_to


@pytest.fixture
def source(merchant, mia, servers):
    """A source at the test's own server, which answers with the small feed."""
    servers[0].answers["/feed.csv"] = body(FEED.encode(), ETag='"1"')
    return add_source(merchant=merchant, url=servers[0].url("/feed.csv"), every_hours=6, by=mia)


def pull(source):
    """As the worker does it, the import included."""
    came = pull_source(source_id=source.pk, enqueue=False)
    source.refresh_from_db()
    if came and came.feed_import:
        run_import(import_id=came.feed_import.pk)
    return came


def make_due(source):
    FeedSource.objects.filter(pk=source.pk).update(due_at=now())


def test_a_feed_is_fetched_imported_and_due_again_by_its_schedule(source):
    assert due_sources() == [source.pk]
    came = pull(source)
    assert (came.outcome, came.size) == (FeedPull.Outcome.IMPORTED, len(FEED))
    came.feed_import.refresh_from_db()
    assert (came.feed_import.accepted, came.feed_import.via) == (7, FeedImport.Via.PULL)
    assert due_sources() == []
    assert source.due_at == came.started_at + timedelta(hours=6)
    assert pull(source) is None, "it is not due"


def test_what_has_not_changed_puts_no_sold_stock_back(source, servers):
    pull(source)
    Offer.objects.filter(variant__item_id="cam").update(on_hand=1)
    servers[0].answers["/feed.csv"] = body(b"", 304)
    make_due(source)
    assert pull(source).outcome == FeedPull.Outcome.UNCHANGED
    assert servers[0].asked[-1][1]["If-None-Match"] == '"1"'
    assert Offer.objects.get(variant__item_id="cam").stock == 1


def test_a_gzipped_feed_without_an_ending_is_told_by_its_type(merchant, mia, servers):
    servers[0].answers["/export"] = body(gzip.compress(FEED.encode()), Content_Type="text/csv")
    source = add_source(merchant=merchant, url=servers[0].url("/export"), every_hours=24, by=mia)
    assert pull(source).outcome == FeedPull.Outcome.IMPORTED
    assert Offer.objects.count() == 7


def test_failures_are_told_and_tried_again_sooner_then_later_then_no_more(source, servers):
    servers[0].answers["/feed.csv"] = body(b"gone", 404)
    waits = []
    for _ in range(20):
        make_due(source)
        assert "404" in pull(source).message
        waits.append(round((source.due_at - now()).total_seconds() / 60))
    assert waits[:4] == [10, 20, 40, 80]
    assert max(waits) == 6 * 60
    assert not source.active
    assert due_sources() == []
    servers[0].answers["/feed.csv"] = body(FEED.encode())
    pull_now(source_id=source.pk, merchant=source.merchant)
    assert pull(source).outcome == FeedPull.Outcome.IMPORTED
    assert source.failures == 0


@pytest.mark.parametrize("way", ["straight", "redirect"])
def test_nothing_inside_is_ever_read(merchant, mia, servers, way):
    outside, inside = servers
    outside.answers["/feed.csv"] = lead_to(inside.url("/secret"))
    url = inside.url("/secret") if way == "straight" else outside.url("/feed.csv")
    came = pull(add_source(merchant=merchant, url=url, every_hours=1, by=mia))
    assert came.outcome == FeedPull.Outcome.FAILED
    assert "public internet" in came.message
    assert inside.asked == []
    assert not FeedImport.objects.exists()


def test_a_worker_that_died_while_fetching_is_followed_by_another(source):
    FeedPull.objects.create(source=source, started_at=now() - timedelta(minutes=16))
    assert pull(source).outcome == FeedPull.Outcome.IMPORTED
    assert [row.outcome for row in source.pulls.all()] == ["imported", "failed"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("status", [200, 503])
def test_what_is_being_fetched_is_fetched_again_when_it_was_asked_for(sent, source, servers, status):
    beside = []

    def meanwhile(handler):
        try:
            pull_now(source_id=source.pk, merchant=source.merchant)
            beside.append(pull_source(source_id=source.pk, enqueue=False))
        finally:
            connection.close()
        body(FEED.encode(), status, ETag='"1"')(handler)

    servers[0].answers["/feed.csv"] = meanwhile
    pull(source)
    assert (beside, FeedPull.objects.count(), len(servers[0].asked)) == ([None], 1, 1)
    assert due_sources() == [source.pk]
    assert sent == [str(source.pk)] * 3, "added, asked for, and once more when the first came to its end"
    servers[0].answers["/feed.csv"] = body(FEED.encode(), ETag='"1"')
    assert pull(source).outcome == FeedPull.Outcome.IMPORTED
    assert "If-None-Match" not in servers[0].asked[-1][1], "a person asked for it"


def test_one_feed_of_a_source_is_read_after_the_other(source):
    pull_source(source_id=source.pk, enqueue=False)
    make_due(source)
    assert pull(source) is None
    assert FeedImport.objects.count() == 1


def test_bounds_of_what_a_merchant_may_ask_for(merchant, mia, source):
    with pytest.raises(SourceExists):
        add_source(merchant=merchant, url=source.url, every_hours=1, by=mia)
    with pytest.raises(FetchRefused):
        add_source(merchant=merchant, url="file:///etc/passwd", every_hours=1, by=mia)
    for number in range(MOST_SOURCES - 1):
        add_source(merchant=merchant, url=f"https://shop.example/{number}", every_hours=1, by=mia)
    with pytest.raises(SourceExists, match="at most"):
        add_source(merchant=merchant, url="https://shop.example/more", every_hours=1, by=mia)


def test_pages_and_who_may_open_them(client, merchant, mia, charlie, source):
    page = reverse("catalog:feed-sources", args=[merchant.slug])
    one = reverse("catalog:feed-source", args=[merchant.slug, source.pk])
    client.force_login(charlie)
    assert client.get(page).status_code == 404
    assert client.post(page, {"url": "https://x.example/", "every_hours": "1"}).status_code == 404
    assert client.post(one, {"do": "remove"}).status_code == 404
    theirs = create_organization(kind="merchant", name="Charlie's", owner=charlie)
    foreign = reverse("catalog:feed-source", args=[theirs.slug, source.pk])
    assert client.post(foreign, {"do": "remove"}).status_code == 404
    for refused in (pull_now, pause_source, remove_source):
        with pytest.raises(NotFound):
            refused(source_id=source.pk, merchant=theirs)
    client.force_login(mia)
    assert client.post(page, {"url": "ftp://x", "every_hours": "1"}).status_code == 422
    assert client.post(page, {"url": "https://shop.example/f.csv", "every_hours": "1"}).status_code == 302
    pull(source)
    shown = client.get(page).content.decode()
    assert "Every six hours" in shown
    assert "Imported" in shown
    client.post(one, {"do": "pause"})
    source.refresh_from_db()
    assert not source.active
    client.post(one, {"do": "pull"})
    client.post(one, {"do": "remove"})
    assert FeedSource.objects.count() == 1
