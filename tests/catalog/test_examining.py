"""Examining products' texts: what changed, what breaks, what is killed on the way."""

from __future__ import annotations

import threading

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, transaction

from marketplace.catalog.drafting.drafts import make_draft, publish_draft
from marketplace.catalog.hostile.decisions import decide_text
from marketplace.catalog.hostile.detector import VERSION
from marketplace.catalog.hostile.examining import examine_products
from marketplace.catalog.hostile.marks import Marks, read_marks
from marketplace.catalog.models import MarkedText, Media, Product, TextExamination, Variant
from tests.catalog.lamps import ORDER, feed, marks
from tests.conversations.world import until
from tests.database import somebody_waits_for_a_lock


def test_an_order_beside_half_a_surrogate_pair_holds_up_nobody(load, merchant):
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in ORDER)
    load(merchant, feed(description=f"{escaped}\\ud800"), filename="feed.tsv")
    assert examine_products() == 1
    mark = MarkedText.objects.get()
    assert (mark.field, mark.status) == ("description", "open")
    assert examine_products() == 0


@pytest.mark.parametrize("breaks", ["the product's data", "the mark"])
def test_a_product_that_cannot_be_examined_holds_up_no_other(load, merchant, breaks):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE catalog_markedtext ADD CHECK (text NOT LIKE '%Broken%')")
    row = "\tLamp\t{}\t\t9 USD\tin_stock\t\t\t\t\n"
    lines = "".join(f"{name}{row.format(f'{name}. {ORDER}')}" for name in ("Broken", "Whole"))
    load(merchant, feed().splitlines()[0] + "\n" + lines, filename="feed.tsv")
    broken, whole = Product.objects.order_by("group_id")
    if breaks == "the product's data":
        Product.objects.filter(pk=broken.pk).update(attributes=["no", "object"])
    assert examine_products() == 2
    assert marks(whole)["description"][0] == "open"
    assert version_of(broken) == VERSION, "it is out of the line"
    failed = TextExamination.objects.get(product=broken)
    assert failed.failure.startswith("AttributeError" if breaks != "the mark" else "IntegrityError")
    assert read_marks(ids=[broken.pk]) == {broken.pk: Marks(examined=False)}
    Product.objects.filter(pk=broken.pk).update(description="A lamp.", attributes={})
    assert examine_products() == 1
    failed.refresh_from_db()
    assert failed.failure == ""
    assert marks(broken) == {}


def version_of(product):
    return TextExamination.objects.get(product=product).version


def test_only_changed_texts_are_examined_again(lamp, load, merchant):
    product = lamp()
    assert version_of(product) == VERSION
    load(merchant, feed(price="8 USD"), filename="feed.tsv")
    assert version_of(product) == VERSION, "a price is no text"
    for change in (
        lambda: Product.objects.update(brand="Lumen"),
        lambda: Product.objects.update(attributes={"material": "Oak"}),
        lambda: Variant.objects.update(options={"Color": "Red"}),
        lambda: Variant.objects.create(product=product, owner=merchant, item_id="two", sku="two"),
        lambda: Variant.objects.filter(item_id="two").delete(),
        lambda: Media.objects.create(product=product, path="photos/x.webp", alt="Look", width=1, height=1),
        lambda: Media.objects.update(alt="Look here"),
        lambda: Media.objects.all().delete(),
    ):
        change()
        assert version_of(product) == 0
        assert examine_products() == 1
    Media.objects.create(product=product, path="photos/y.webp", alt=product.title, width=1, height=1)
    Media.objects.update(position=4)
    assert version_of(product) == VERSION
    product.delete()
    assert not TextExamination.objects.exists()


def test_a_new_detector_examines_everything_again_and_decisions_stand(lamp, olivia):
    product = lamp(description=ORDER)
    mark = product.marked_texts.get()
    decide_text(text_id=mark.pk, decision="clear", by=olivia, reason="a joke")
    assert examine_products(version=VERSION + 1) == 1
    assert examine_products(version=VERSION + 1) == 0
    mark.refresh_from_db()
    assert (mark.status, mark.version) == ("cleared", VERSION + 1)
    assert version_of(product) == VERSION + 1


@pytest.mark.django_db(transaction=True)
def test_a_killed_examination_leaves_its_products_in_line(load, merchant):
    load(merchant, feed(description=ORDER), filename="feed.tsv")
    with transaction.atomic():
        assert examine_products() == 1
        transaction.set_rollback(True)
    assert not MarkedText.objects.exists()
    assert examine_products() == 1
    assert MarkedText.objects.get().status == "open"
    assert examine_products() == 0


@pytest.mark.django_db(transaction=True)
def test_a_text_that_changes_during_its_examination_is_examined_again(load, merchant):
    load(merchant, feed(), filename="feed.tsv")
    begun, beside = threading.Event(), []

    def change():
        try:
            begun.set()
            Product.objects.update(description=ORDER)
        finally:
            connection.close()

    with transaction.atomic():
        assert examine_products() == 1
        beside.append(threading.Thread(target=change))
        beside[0].start()
        assert begun.wait(10)
        assert examine_products() == 0, "what one examines is not waited for by another"
    beside[0].join(10)
    assert TextExamination.objects.get().version == 0
    assert examine_products() == 1
    assert MarkedText.objects.get().field == "description"


@pytest.mark.django_db(transaction=True)
def test_a_description_that_is_published_during_an_examination_takes_its_turn(load, merchant, mia):
    load(merchant, feed(description=ORDER), filename="feed.tsv")
    draft = async_to_sync(make_draft)(product_id=Product.objects.get().pk, merchant=merchant, by=mia)

    def publish():
        try:
            publish_draft(draft_id=draft.pk, merchant=merchant, text="A lamp.", by=mia)
        finally:
            connection.close()

    publishing = threading.Thread(target=publish)
    with transaction.atomic():
        TextExamination.objects.select_for_update().get()
        publishing.start()
        until(somebody_waits_for_a_lock)
        assert examine_products() == 1
    publishing.join(20)
    assert Product.objects.get().description == "A lamp."
    assert TextExamination.objects.get().version == 0
