"""Dry runs that change nothing, roll backs that leave the catalogue as it was, and killed importers."""

import contextlib
import hashlib
import json
import os
import random
import select
import signal

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.urls import reverse

from agentstore.kit.clock import now
from agentstore.kit.money import Money
from marketplace.catalog.feeds import (
    CannotRollBack,
    import_dry_run,
    roll_back_import,
    run_import,
    start_import,
    start_roll_back,
)
from marketplace.catalog.feeds.describe import described
from marketplace.catalog.feeds.intake import FeedGone, forget_old_imports
from marketplace.catalog.feeds.progress import ImportNotFound
from marketplace.catalog.feeds.runner import stalled_undoings
from marketplace.catalog.models import FeedImport, FeedItemChange, Offer, Product, Variant
from marketplace.catalog.offers import change_offer
from marketplace.catalog.stock import buy_reserved, reserve_stock
from tests.catalog.conftest import FEED

CHANGED = (
    FEED.replace("899.99 USD", "799.99 USD")
    .replace("Desk Lamp", "Tall Lamp")
    .replace("Home > Lighting", "Home > Lamps")
    + "mug,,,Mug,For tea.,8.00 USD,,in_stock,4,Hill,Home > Kitchen,,,,\n"
)


def catalogue():
    """All that the merchants' feeds say, without the database's own numbers."""
    return list(
        Offer.objects.order_by("merchant__slug", "variant__item_id").values_list(
            "variant__item_id", "variant__title", "variant__options", "variant__sku", "variant__gtin",
            "variant__product__group_id", "variant__product__title", "variant__product__description",
            "variant__product__category__path", "variant__product__attributes", "variant__product__text_hash",
            "price_micros", "list_price_micros", "currency", "on_hand", "ships_to", "valid_to", "active",
        )
    )  # fmt: skip


def undo(report, merchant, **options):
    start_roll_back(import_id=report.pk, merchant=merchant, by=None, enqueue=False)
    return roll_back_import(import_id=report.pk, **options)


@pytest.fixture
def rehearse(merchant):
    """Run a feed dry and give its report."""

    def rehearse(text, **options):
        started = start_import(
            merchant=merchant, source=ContentFile(text.encode(), name="feed.csv"), by=None, dry_run=True,
            enqueue=False,
        )  # fmt: skip
        return run_import(import_id=started.pk, **options)

    return rehearse


def test_a_dry_run_says_what_would_change_and_changes_nothing(shop, rehearse):
    before = catalogue()
    report = rehearse(CHANGED + "bad,,,,,1 USD,,in_stock,1,,,,,,\n", batch=3)
    assert (report.accepted, report.changed, report.unchanged, report.refused) == (1, 2, 5, 1)
    assert catalogue() == before
    said = {
        found.row.item_id: [(field.label, field.before, field.after) for field in found.fields]
        for found in described(report.changes.all())
    }
    assert said["cam"] == [("Price", "$899.99", "$799.99")]
    assert ("Category", "Home > Lighting", "another") in said["lamp"]
    assert said["mug"] == [("Price", "", "$8.00"), ("Stock", "", "4")]


def test_what_a_dry_run_promised_is_what_the_import_does(shop, rehearse, mia):
    promised = rehearse(CHANGED)
    done = run_import(
        import_id=import_dry_run(import_id=promised.pk, merchant=shop, by=mia, enqueue=False).pk
    )
    assert not done.dry_run
    kept = [
        [(row.kind, row.item_id, sorted(row.after)) for row in report.changes.all()]
        for report in (promised, done)
    ]
    assert kept[0] == kept[1] != []
    assert Offer.objects.get(variant__item_id="cam").price_micros == 799_990_000


@pytest.mark.parametrize("batch", [1, 2, 500])
def test_a_roll_back_leaves_the_catalogue_as_it_was(shop, load, batch):
    before = catalogue()
    report = load(shop, CHANGED)
    assert catalogue() != before
    undone = undo(report, shop, batch=batch)
    assert (undone.status, undone.restored, undone.kept) == (FeedImport.Status.UNDONE, 3, 0)
    assert catalogue() == before
    assert not Product.objects.filter(group_id="mug").exists()


def test_an_item_that_changed_twice_goes_back_to_the_start(shop, load):
    before = catalogue()
    header, cam = FEED.splitlines()[0], next(line for line in FEED.splitlines() if line.startswith("cam"))
    twice = "\n".join([header, cam.replace("899.99", "800"), cam.replace("899.99", "700"), ""])
    undo(load(shop, twice), shop)
    assert catalogue() == before


def test_measures_ratings_sales_and_groups_go_back(merchant, load):
    header = (
        "id,item_group_id,title,price,sale_price,sale_price_effective_date,availability,rating,"
        "unit_pricing_measure,unit_pricing_base_measure,expiration_date\n"
    )
    load(
        merchant,
        header
        + "a,g,A,9 USD,8 USD,2026-01-01/2036-01-01,in_stock,4.5,750 ml,1 l,2036-01-01\nb,g,B,9 USD,,,in_stock,,,,\n",
    )
    before = whole()
    report = load(
        merchant,
        header
        + "a,g,A,9 USD,7 USD,2026-02-01/2036-01-01,in_stock,4.25,700 ml,1 l,2037-01-01\nb,h,B,9 USD,,,in_stock,3,,,\n",
    )
    assert (report.changed, whole() != before) == (2, True)
    undone = undo(report, merchant)
    assert (undone.restored, undone.kept) == (2, 0)
    assert whole() == before
    assert not Product.objects.filter(group_id="h").exists()


def whole():
    more = Offer.objects.order_by("variant__item_id").values_list(
        "sale_micros", "regular_micros", "sale_from", "sale_to", "variant__measure", "variant__measure_base",
        "variant__measure_unit", "variant__product__rating_value",
    )  # fmt: skip
    return [*catalogue(), *more]


def test_what_was_changed_by_hand_or_sold_since_stays(shop, load, offer, mia):
    report = load(shop, CHANGED.replace("in_stock,20,Hill", "in_stock,50,Hill"))
    cam = offer("cam")
    change_offer(
        offer_id=cam.pk, merchant=shop, by=mia, price=Money(1_000_000, "USD"), list_price=None, stock=2,
        active=True,
    )  # fmt: skip
    reserve_stock(offer_id=offer("wine").pk, quantity=7, holder="h", until=now())
    buy_reserved(holder="h")
    undone = undo(report, shop)
    assert offer("cam").price_micros == 1_000_000
    assert offer("wine").stock == 13, "twenty before the import, seven of them sold since"
    assert undone.kept == 1
    assert "price_micros" in report.changes.get(item_id="cam").note


def test_what_no_longer_fits_is_kept_and_the_rest_goes_back(shop, load, offer, mia):
    """The import halved a price; a list price was then set by hand that the old price would be above."""
    report = load(shop, CHANGED.replace("12.00 USD", "6.00 USD"))
    wine = offer("wine")
    change_offer(
        offer_id=wine.pk, merchant=shop, by=mia, price=wine.price, list_price=Money(8_000_000, "USD"), stock=20,
        active=True,
    )  # fmt: skip
    undone = undo(report, shop)
    assert (undone.status, undone.kept) == (FeedImport.Status.UNDONE, 1)
    assert (offer("wine").price.minor, offer("cam").price.minor) == (600, 89_999)
    assert "does not fit" in report.changes.get(item_id="wine").note


def test_a_new_item_that_was_sold_is_switched_off_instead(shop, load, sam):
    from marketplace.shopping import carts, checkouts
    from marketplace.shopping.models import Shopper
    from tests.orders.world import HOME, usd

    report = load(shop, CHANGED)
    mug = Offer.objects.get(variant__item_id="mug")
    shopper = Shopper.objects.create(user=sam)
    carts.add_to_cart(shopper=shopper, offer_id=mug.pk)
    checkouts.open_checkout(shopper=shopper, by=sam, address=HOME, agreed_total=usd("8"))
    undo(report, shop)
    mug.refresh_from_db()
    assert not mug.active
    assert report.changes.get(item_id="mug").undone == FeedItemChange.Undone.KEPT


def test_only_the_latest_import_is_rolled_back_then_the_one_before(shop, load):
    empty = catalogue()[:0]
    first, second = FeedImport.objects.get(), load(shop, CHANGED)
    with pytest.raises(CannotRollBack, match="later import"):
        undo(first, shop)
    undo(second, shop)
    undo(first, shop)
    assert catalogue() == empty
    with pytest.raises(CannotRollBack):
        undo(second, shop)


def test_nothing_is_imported_while_another_import_goes_back(shop, load):
    report = load(shop, CHANGED)
    start_roll_back(import_id=report.pk, merchant=shop, by=None, enqueue=False)
    waiting = load(shop, FEED)
    assert waiting.status == FeedImport.Status.WAITING
    roll_back_import(import_id=report.pk)
    assert run_import(import_id=waiting.pk).unchanged == 7


def test_a_roll_back_that_nobody_works_on_is_found_and_goes_on(shop, load):
    before, report = catalogue(), load(shop, CHANGED)
    report.refresh_from_db()
    start_roll_back(import_id=report.pk, merchant=shop, by=None, enqueue=False)
    FeedImport.objects.filter(pk=report.pk).update(touched_at="2020-01-01T00:00Z")
    assert stalled_undoings() == [report.pk]
    roll_back_import(import_id=report.pk, batch=1)
    assert catalogue() == before


def test_old_imports_are_let_go(shop, load, rehearse, mia):
    promised = rehearse(CHANGED)
    FeedImport.objects.update(ended_at="2020-01-01T00:00Z", created_at="2020-01-01T00:00Z")
    assert forget_old_imports() == 2
    assert not FeedItemChange.objects.exists()
    assert forget_old_imports() == 0
    with pytest.raises(FeedGone):
        import_dry_run(import_id=promised.pk, merchant=shop, by=mia)
    with pytest.raises(CannotRollBack):
        undo(FeedImport.objects.exclude(pk=promised.pk).get(), shop)


def test_pages_and_who_may_open_them(client, shop, load, rehearse, mia, charlie):
    promised, report = rehearse(CHANGED), load(shop, CHANGED)
    client.force_login(charlie)
    for name in ("import-go-ahead", "import-roll-back"):
        assert client.post(reverse(f"catalog:{name}", args=[shop.slug, report.pk])).status_code == 404
    assert client.get(reverse("catalog:import-changes", args=[shop.slug, report.pk])).status_code == 404
    with pytest.raises(ImportNotFound):
        start_roll_back(import_id=report.pk, merchant=charlie_shop(charlie), by=charlie)
    client.force_login(mia)
    page = client.get(reverse("catalog:import", args=[shop.slug, promised.pk])).content.decode()
    assert [words for words in ("Nothing was changed", "Import it", "$799.99") if words not in page] == []
    page = client.get(reverse("catalog:import", args=[shop.slug, report.pk])).content.decode()
    assert "Roll back" in page
    assert (
        "Tall Lamp"
        in client.get(reverse("catalog:import-changes", args=[shop.slug, report.pk])).content.decode()
    )
    client.post(reverse("catalog:import-roll-back", args=[shop.slug, report.pk]))
    report.refresh_from_db()
    assert report.status == FeedImport.Status.UNDOING
    assert report.status_changes.last().by == mia


def charlie_shop(charlie):
    from agentstore.identity.services import create_organization

    return create_organization(kind="merchant", name="Charlie's", owner=charlie)


def feed_of(number):
    """A feed with every kind of line: groups, repeats, refusals, sales."""
    rows = [FEED.splitlines()[0]]
    for n in range(number):
        price = "x" if n % 97 == 0 else f"{n % 50 + 2}.50 USD"
        rows.append(
            f"i{n % (number - 40)},g{n // 3},,Thing {n},Words {n}.,{price},{'1.25 USD' if n % 5 == 0 else ''},"
            f"in_stock,{n % 9},Brand {n % 7},Home > Kind {n % 11},Red,S{n % 3},,"
        )
    return "\n".join(rows) + "\n"


def work(import_id, run):
    """A worker of its own, with a connection of its own, as Celery forks them; gives its process."""
    pid = os.fork()
    if pid:
        return pid
    try:
        connection.connection = None  # the parent's; psycopg lets only the process that opened it end it
        run(import_id=import_id, batch=20)
    finally:
        os._exit(0)


def kill_until_done(report, run, *, seed, most=6):
    """Kill worker after worker, each at some instant of its work, until one may end; gives how many died."""
    chance, killed = random.Random(seed), 0
    while report.is_open:
        pid = work(report.pk, run)
        if killed < most:
            select.select([], [], [], chance.uniform(0.01, 0.1))
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        killed += os.WIFSIGNALED(status)
        report.refresh_from_db()
    return killed


@pytest.mark.django_db(transaction=True)
def test_workers_killed_anywhere_end_in_the_same_catalogue(merchant, load):
    text = feed_of(600)
    whole = load(merchant, text, batch=20)
    expected = digest()
    counted = (whole.accepted, whole.changed, whole.unchanged, whole.refused)
    undo(whole, merchant)
    assert catalogue() == []
    started = start_import(
        merchant=merchant, source=ContentFile(text.encode(), name="f.csv"), by=None, enqueue=False
    )
    assert kill_until_done(started, run_import, seed=1) > 2
    assert started.status == FeedImport.Status.DONE
    assert (started.accepted, started.changed, started.unchanged, started.refused) == counted
    assert digest() == expected
    start_roll_back(import_id=started.pk, merchant=merchant, by=None, enqueue=False)
    started.refresh_from_db()
    assert kill_until_done(started, roll_back_import, seed=2) > 2
    assert started.status == FeedImport.Status.UNDONE
    assert catalogue() == []
    assert (Variant.objects.count(), Product.objects.count()) == (0, 0)
    assert started.restored + started.kept == started.accepted + started.changed


def digest():
    return hashlib.sha256(json.dumps(catalogue(), default=str).encode()).hexdigest()
