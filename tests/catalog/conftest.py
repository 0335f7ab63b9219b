"""A small catalogue on PostgreSQL and a search index in a directory of the test's own."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from celery import current_app
from django.core.files.base import File

from marketplace.catalog.feeds import run_import, start_import
from marketplace.catalog.hostile.examining import examine_products
from marketplace.catalog.models import Offer, Product
from marketplace.catalog.search.embedding import embed_waiting
from marketplace.catalog.search.indexing import drain_outbox
from tests.catalog.lamps import lamp  # noqa: F401  (fixtures are found by name)

FEED = (Path(__file__).parent / "small_feed.csv").read_text()


@pytest.fixture(autouse=True)
def data_dir(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path


@pytest.fixture
def sent(monkeypatch):
    """Of what workers were told to do: the ids."""
    sent = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args, **options: sent.append(args[0]))
    return sent


@pytest.fixture
def load(db):
    """Import a feed's text for a merchant and give the finished import."""

    def load(merchant, text, *, filename="feed.csv", by=None, **options):
        content = text if isinstance(text, bytes) else text.encode()
        started = start_import(
            merchant=merchant, source=File(io.BytesIO(content), name=filename), by=by, enqueue=False
        )
        return run_import(import_id=started.pk, **options)

    return load


@pytest.fixture
def shop(load, merchant):
    """The merchant with the small catalogue; nothing is indexed yet."""
    report = load(merchant, FEED)
    assert (report.accepted, report.refused) == (7, 0)
    return merchant


@pytest.fixture
def index():
    """Bring the search index up to date, vectors included, and have all texts examined."""

    def index():
        while drain_outbox():
            pass
        while embed_waiting():
            pass
        while examine_products():
            pass

    return index


@pytest.fixture
def indexed(shop, index):
    """The small catalogue, searchable."""
    index()
    return shop


@pytest.fixture
def offer():
    """An offer of the small catalogue by its item id."""
    return lambda item_id: Offer.objects.get(variant__item_id=item_id)


@pytest.fixture
def product():
    """A product of the small catalogue by its title."""
    return lambda title: Product.objects.get(title=title)
