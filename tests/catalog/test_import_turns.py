"""A merchant's imports take turns: the newer feed wins, whichever worker is quicker."""

import threading

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.db import connection, transaction
from django.urls import reverse

from agentstore.identity.tokens import issue_token
from marketplace.catalog.feeds import roll_back_import, run_import, start_import, start_roll_back
from marketplace.catalog.feeds.progress import MOST_ATTEMPTS, lock_merchant
from marketplace.catalog.models import FeedImport
from tests.catalog.conftest import FEED
from tests.conversations.world import until
from tests.database import somebody_waits_for_a_lock

OLDER, NEWER = FEED.replace("899.99 USD", "800 USD"), FEED.replace("899.99 USD", "700 USD")


@pytest.fixture
def take(shop):
    """Take a feed in, for a worker to read."""

    def take(text, **options):
        source = ContentFile(text.encode(), name="feed.csv")
        return start_import(merchant=shop, source=source, by=None, enqueue=False, **options)

    return take


@pytest.fixture
def run(django_capture_on_commit_callbacks):
    """Run an import as a worker does, and commit."""

    def run(one, work=run_import):
        with django_capture_on_commit_callbacks(execute=True):
            return work(import_id=one.pk)

    return run


def test_the_newer_feed_waits_for_the_older_one_and_wins(take, run, sent, offer):
    older, newer = take(OLDER), take(NEWER)
    FeedImport.objects.filter(pk=older.pk).update(status="running")
    assert run(newer).status == "waiting"
    assert run(older).status == "done"
    assert sent == [str(newer.pk)]
    assert run(newer).status == "done"
    assert offer("cam").price.minor == 70_000
    run(
        start_roll_back(import_id=newer.pk, merchant=newer.merchant, by=None, enqueue=False), roll_back_import
    )
    assert offer("cam").price.minor == 80_000
    run(
        start_roll_back(import_id=older.pk, merchant=older.merchant, by=None, enqueue=False), roll_back_import
    )
    assert offer("cam").price.minor == 89_999


def test_none_overtakes_one_that_waits_and_none_waits_for_a_dry_run(take, run, sent):
    dry, first, second, last = take(OLDER, dry_run=True), take(OLDER), take(NEWER), take(FEED)
    assert run(second).status == "waiting"
    assert run(first).status == "done"
    assert sent == [str(dry.pk), str(second.pk)], "the last one's turn comes when the second ends"
    assert run(second).status == "done"
    assert sent[2:] == [str(dry.pk), str(last.pk)]


def test_a_push_beside_a_feed_is_read_after_it(
    client, take, run, sent, mia, django_capture_on_commit_callbacks
):
    feed = take(OLDER)
    FeedImport.objects.filter(pk=feed.pk).update(status="running")
    _, secret = issue_token(organization=feed.merchant, by=mia, name="x")
    items = {"items": [{"id": "cam", "title": "Camera", "price": "1 USD", "availability": "in_stock"}]}
    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(
            reverse("catalog:api-items"), items, content_type="application/json",
            headers={"Authorization": f"Bearer {secret}"},
        )  # fmt: skip
    told = answer.json()["import"]
    assert (answer.status_code, told["status"], sent) == (202, "waiting", [])
    run(feed)
    assert sent == [told["id"]]
    assert run(FeedImport.objects.get(pk=told["id"])).changed == 1


def test_the_end_of_a_roll_back_lets_the_next_one_be_read(take, run, sent):
    older = take(OLDER)
    run(older)
    start_roll_back(import_id=older.pk, merchant=older.merchant, by=None, enqueue=False)
    newer = take(NEWER)
    assert run(newer).status == "waiting"
    assert run(older, roll_back_import).status == "undone"
    assert sent == [str(newer.pk)]


@pytest.mark.django_db(transaction=True)
def test_a_roll_back_that_is_asked_for_beside_a_batch_waits_for_it(merchant, load):
    report = load(merchant, FEED)

    def ask():
        try:
            start_roll_back(import_id=report.pk, merchant=merchant, by=None, enqueue=False)
        finally:
            connection.close()

    asking = threading.Thread(target=ask)
    with transaction.atomic():
        # As batches lock: the import, then the merchant.
        FeedImport.objects.select_for_update().get(pk=report.pk)
        asking.start()
        until(somebody_waits_for_a_lock)
        lock_merchant(merchant.pk)
    asking.join()
    report.refresh_from_db()
    assert report.status == "undoing"


def test_an_import_that_breaks_off_again_and_again_holds_up_no_other_for_ever(take, run, sent):
    broken, waiting = take(OLDER), take(NEWER)
    broken.file.storage.delete(broken.file.name)
    for _ in range(MOST_ATTEMPTS):
        with pytest.raises(FileNotFoundError):
            run_import(import_id=broken.pk)
    ended = run(broken)
    assert (ended.status, "broke off" in ended.error, sent) == ("failed", True, [str(waiting.pk)])
    assert run(waiting).status == "done"


def test_a_roll_back_that_breaks_off_again_and_again_ends_and_may_be_asked_for_anew(
    client, take, run, sent, mia
):
    undone = take(FEED.replace("899.99 USD", "850 USD"))
    run(undone)
    merchant = undone.merchant
    start_roll_back(import_id=undone.pk, merchant=merchant, by=mia, enqueue=False)
    waiting = take(NEWER)
    change = undone.changes.get(item_id="cam")
    before, change.before = change.before, {"offer.price_micros": "no price"}
    change.save()
    for _ in range(MOST_ATTEMPTS):
        with pytest.raises(ValidationError, match="no price"):
            roll_back_import(import_id=undone.pk)
    ended = run(undone, roll_back_import)
    assert (ended.status, "broke off" in ended.error, sent) == ("failed", True, [str(waiting.pk)])
    change.before = before
    change.save()
    client.force_login(mia)
    page = client.get(reverse("catalog:import", args=[merchant.slug, undone.pk])).text
    assert "This roll back broke off" in page
    assert "could not be read" not in page
    FeedImport.objects.filter(pk=waiting.pk).update(status="failed")
    start_roll_back(import_id=undone.pk, merchant=merchant, by=mia, enqueue=False)
    ended = run(undone, roll_back_import)
    assert (ended.status, ended.error) == ("undone", "")
