"""The description assistant: drafts from a product's data, published by the merchant alone, taken back."""

import contextlib
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, transaction
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from agentstore.identity.services import create_organization
from agentstore.kit.clock import now
from marketplace.catalog.drafting import drafts
from marketplace.catalog.drafting.drafts import make_draft, publish_draft
from marketplace.catalog.drafting.facts import Facts, describe, numbers_beyond
from marketplace.catalog.feeds.batches import write_batch
from marketplace.catalog.feeds.items import read_item
from marketplace.catalog.feeds.progress import lock_merchant
from marketplace.catalog.models import DescriptionDraft, IndexOutbox, Product
from tests.catalog.conftest import FEED
from tests.conversations.live import Web
from tests.conversations.world import until
from tests.database import somebody_waits_for_a_lock

pytestmark = pytest.mark.django_db(transaction=True)
TEMPLATE = "Cotton Tee by Loom. Shirts in Clothing. Color: Blue. Size: S or M."


def text(answer) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


class Model:
    """An OpenAI-compatible server; `answer` is what it says, or a function that writes to the connection."""

    def __init__(self) -> None:
        self.answer: object = "A soft blue shirt."
        self.asked: list[dict[str, Any]] = []
        self.over = threading.Event()
        model = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                model.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                if callable(model.answer):
                    model.answer(self)
                    return
                body = json.dumps({"choices": [{"message": {"content": model.answer}}]}).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def model(settings):
    server = Model()
    settings.MODEL_BASE_URL = f"http://127.0.0.1:{server.server.server_port}/v1"
    settings.MODEL_NAME = "small-model"
    settings.DESCRIPTION_MODEL_SECONDS = 1
    yield server
    server.over.set()
    server.server.shutdown()
    server.server.server_close()


@pytest.fixture
def tee(shop, product):
    return product("Cotton Tee")


class Desk:
    """Mia's page about a product's description."""

    def __init__(self, client, shop, product) -> None:
        self.client = client
        self.one = [shop.slug, product.pk]

    def page(self):
        return self.client.get(reverse("catalog:description", args=self.one))

    def draft(self) -> DescriptionDraft:
        answer = self.client.post(reverse("catalog:draft", args=self.one))
        assert answer.status_code == 302
        return DescriptionDraft.objects.get(status="draft")

    def decide(self, draft, do, **fields):
        return self.client.post(
            reverse("catalog:draft-decide", args=[*self.one, draft.pk]), {"do": do, **fields}, follow=True
        )


@pytest.fixture
def desk(client, mia, shop, tee):
    client.force_login(mia)
    return Desk(client, shop, tee)


def test_a_draft_is_marked_and_changes_nothing(desk, tee):
    assert "Not published" not in text(desk.page())
    draft = desk.draft()
    assert (draft.drafted, draft.source) == (TEMPLATE, "template")
    shown = text(desk.page())
    assert "Draft Not published From a template" in shown
    assert TEMPLATE in shown
    tee.refresh_from_db()
    assert tee.description == "A soft shirt of organic cotton."


def test_published_by_the_merchants_act_and_taken_back(desk, tee):
    draft, before = desk.draft(), tee.text_hash
    IndexOutbox.objects.all().delete()
    assert "Published." in text(desk.decide(draft, "publish", text=f"{TEMPLATE} Wash cold."))
    tee.refresh_from_db()
    assert tee.description == f"{TEMPLATE} Wash cold."
    assert tee.text_hash != before
    assert IndexOutbox.objects.get().product_id == tee.pk
    page = text(desk.client.get(reverse("catalog:product", args=[tee.public_id])))
    assert "Wash cold." in page
    draft.refresh_from_db()
    assert [change.reason for change in draft.changes.all()] == ["", "with changes"]
    assert "The description is as it was before." in text(desk.decide(draft, "undo"))
    tee.refresh_from_db()
    assert (tee.description, tee.text_hash) == ("A soft shirt of organic cotton.", before)
    assert "Taken back" in text(desk.page())


def test_what_a_feed_changed_since_is_not_taken_back(desk, tee, shop, load):
    draft = desk.draft()
    desk.decide(draft, "publish", text=TEMPLATE)
    load(shop, FEED.replace("A soft shirt", "A softer shirt"))
    assert "The description has changed since." in text(desk.decide(draft, "undo"))
    tee.refresh_from_db()
    assert tee.description == "A softer shirt of organic cotton."


def test_a_feed_that_says_what_it_said_then_leaves_it(desk, tee, shop, load):
    desk.decide(desk.draft(), "publish", text="First.")
    desk.decide(desk.draft(), "publish", text="Second.")
    assert load(shop, FEED).unchanged == 7
    tee.refresh_from_db()
    assert tee.description == "Second."
    load(shop, FEED.replace("Cotton Tee", "Linen Tee"))
    tee.refresh_from_db()
    assert (tee.title, tee.description) == ("Linen Tee", "Second.")
    load(shop, FEED.replace("A soft shirt", "A softer shirt"))
    tee.refresh_from_db()
    assert tee.description == "A softer shirt of organic cotton."


def test_what_is_published_during_an_import_is_not_lost_to_it(merchant, mia):
    row = {"id": "lamp", "title": "Lamp", "description": "Old.", "price": "9 USD", "availability": "in_stock"}

    def read(**cells):
        return [(1, read_item({**row, **cells}, currency="USD", at=now()))]

    write_batch(merchant=merchant, items=read())
    draft = async_to_sync(make_draft)(product_id=Product.objects.get().pk, merchant=merchant, by=mia)

    def publish():
        try:
            publish_draft(draft_id=draft.pk, merchant=merchant, text="New.", by=mia)
        finally:
            connection.close()

    publishing = threading.Thread(target=publish)
    with transaction.atomic():
        lock_merchant(merchant.pk)
        publishing.start()
        until(somebody_waits_for_a_lock)
        write_batch(merchant=merchant, items=read(title="Desk lamp"))
    publishing.join(20)
    product = Product.objects.get()
    assert (product.title, product.description) == ("Desk lamp", "New.")


def test_discarded_or_drafted_anew(desk, tee):
    first = desk.draft()
    second = desk.draft()
    first.refresh_from_db()
    assert first.status == "discarded"
    desk.decide(second, "discard")
    assert DescriptionDraft.objects.filter(status="draft").count() == 0
    assert desk.decide(second, "publish", text="x").status_code == 409
    assert desk.decide(second, "undo").status_code == 200
    tee.refresh_from_db()
    assert tee.description == "A soft shirt of organic cotton."


def test_nothing_is_published_without_words(desk):
    draft = desk.draft()
    assert desk.decide(draft, "publish", text=" ").status_code == 422
    draft.refresh_from_db()
    assert draft.status == "draft"


def test_a_language_model_drafts_from_the_data_alone(desk, model):
    draft = desk.draft()
    assert (draft.drafted, draft.source, draft.model_name) == ("A soft blue shirt.", "model", "small-model")
    shown = text(desk.page())
    assert "By a language model" in shown
    assert "read every word" in shown
    (asked,) = model.asked
    told = json.loads(asked["messages"][1]["content"])
    assert ["Title", "Cotton Tee"] in told
    assert "20" not in asked["messages"][1]["content"]


def drip(model):
    def answer(handler):
        handler.send_response(200)
        handler.end_headers()
        while not model.over.wait(0.05):
            try:
                handler.wfile.write(b" ")
                handler.wfile.flush()
            except OSError:
                return

    return answer


def flood(handler):
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(OSError):
        handler.wfile.write(b" " * 5_000_000)


def junk(handler):
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b'{"choices": []}')


def broken(handler):
    handler.send_response(500)
    handler.end_headers()


@pytest.mark.parametrize(
    ("answer", "note"),
    [
        ("Lasts 25 years.", "named 25, which your data does not"),
        ("Read https://shop.example/more", "too long, or not plain"),
        ("word " * 400, "too long, or not plain"),
        ("", "said nothing"),
        (junk, "could not be read"),
        (broken, "did not answer in time"),
        (drip, "did not answer in time"),
        (flood, "said too much"),
    ],
)
def test_what_a_model_may_not_say_falls_back_to_the_template(desk, model, answer, note):
    model.answer = drip(model) if answer is drip else answer
    draft = desk.draft()
    assert (draft.drafted, draft.source) == (TEMPLATE, "template")
    assert note in draft.note


def test_a_model_server_that_is_silent_or_away_falls_back(desk, model, settings):
    model.answer = lambda handler: model.over.wait()
    assert "did not answer in time" in desk.draft().note
    for away in ("http://127.0.0.1:1/v1", "http://[::1", "no address"):
        settings.MODEL_BASE_URL = away
        assert "did not answer in time" in desk.draft().note
    settings.DESCRIPTION_MODEL_SECONDS = 0
    assert desk.draft().note == ""


def test_a_model_is_asked_so_often_a_minute_for_one_merchant(desk, model, monkeypatch, whole_minute):
    monkeypatch.setattr(drafts, "MODEL_CALLS_PER_MINUTE", 2)
    desk.draft()
    desk.draft()
    refused = desk.client.post(reverse("catalog:draft", args=desk.one))
    assert (refused.status_code, len(model.asked)) == (429, 2)
    assert "go on in a minute" in text(refused)


def test_templates_are_not_counted(desk, monkeypatch):
    monkeypatch.setattr(drafts, "MODEL_CALLS_PER_MINUTE", 0)
    assert desk.draft().source == "template"


def test_who_waits_for_a_model_holds_no_connection(model, settings, mia, desk):
    settings.DESCRIPTION_MODEL_SECONDS = 30
    model.answer = lambda handler: model.over.wait(30)
    before = connections_open()
    web = Web()
    browser = web.browser(mia)
    address = reverse("catalog:draft", args=desk.one)
    try:
        with ThreadPoolExecutor(10) as crowd:
            posts = [crowd.submit(browser.post, address) for _ in range(10)]
            try:
                until(lambda: len(model.asked) == 10)
                until(lambda: connections_open() <= before + 1)
            finally:
                model.over.set()
        assert {post.result().status_code for post in posts} == {302}
    finally:
        web.stop()
    assert DescriptionDraft.objects.filter(status="draft").count() == 1


def connections_open():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        return cursor.fetchone()[0]


def test_charlie_is_refused_at_every_door(client, desk, charlie, shop, tee):
    draft = desk.draft()
    doors = [
        ("get", reverse("catalog:description", args=desk.one)),
        ("post", reverse("catalog:draft", args=desk.one)),
        ("post", reverse("catalog:draft-decide", args=[*desk.one, draft.pk])),
    ]
    client.logout()
    assert [getattr(client, how)(door).status_code for how, door in doors] == [302] * 3
    client.force_login(charlie)
    mine = create_organization(kind="merchant", name="Charlie's", owner=charlie)
    doors += [
        (how, door.replace(f"/merchant/{shop.slug}/", f"/merchant/{mine.slug}/")) for how, door in doors
    ]
    fields = {"do": "publish", "text": "Mine."}
    assert [getattr(client, how)(door, fields).status_code for how, door in doors] == [404] * 6
    tee.refresh_from_db()
    assert tee.description == "A soft shirt of organic cotton."


words = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=12)
facts = st.builds(
    Facts,
    title=words,
    brand=words | st.just(""),
    category=st.lists(words, max_size=3).map(tuple),
    attributes=st.dictionaries(st.sampled_from(["material", "weight", "mpn", "fit"]), words),
    options=st.dictionaries(words, st.lists(words, min_size=1, max_size=4).map(tuple), max_size=2),
    min_age=st.integers(0, 21),
)


@given(facts)
def test_a_template_says_every_fact_and_no_number_beyond_them(one):
    said = describe(one)
    assert said == describe(one)
    assert one.title in said
    assert all(value in said for value in one.attributes.values())
    assert all(value in said for values in one.options.values() for value in values)
    known = {*one.options, *one.attributes}
    assert [n for n in numbers_beyond(said, one) if not any(n in name for name in known)] == []
