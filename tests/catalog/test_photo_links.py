"""Photographs that feeds name by address: fetched, checked and served by the store."""

import io
import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from PIL import Image, ImageOps

from agentstore.kit.clock import now
from marketplace.catalog.feeds import roll_back_import, start_roll_back
from marketplace.catalog.media import attach_photo, photo_url
from marketplace.catalog.models import Media, PhotoLink, Product
from marketplace.catalog.photo_links import fetch_photos
from tests.conversations.world import until
from tests.database import somebody_waits_for_a_lock
from tests.web import body, lead_to

HEADER = "id,title,price,availability,image_link,additional_image_link\n"


def picture(colour="teal", size=(900, 600), kind="JPEG"):
    made = io.BytesIO()
    Image.new("RGB", size, colour).save(made, kind)
    return made.getvalue()


@pytest.fixture
def names(merchant, load, servers):
    """Import a mug whose photographs are at these paths, and fetch them; gives the product."""

    def names(*paths, server=None):
        first, *more = [(server or servers[0]).url(path) if path else "" for path in paths]
        load(merchant, HEADER + f'mug,Mug,8 USD,in_stock,{first},"{",".join(more)}"\n')
        fetch_photos()
        return Product.objects.get()

    return names


def links(product):
    return [(link.status, link.message) for link in product.photo_links.all()]


def test_photographs_come_into_the_store_and_are_served_by_it(names, servers, client):
    servers[0].answers |= {"/a.jpg": body(picture()), "/b.png": body(picture("red", kind="PNG"))}
    mug = names("/a.jpg", "/b.png")
    assert links(mug) == [("done", ""), ("done", "")]
    photos = list(mug.media.all())
    assert [photo.position for photo in photos] == [0, 1]
    page = client.get(f"/products/{mug.public_id}/").content.decode()
    assert photo_url(photos[0].path) in page
    assert servers[0].url("") not in page, "no shopper's browser is sent to a merchant's address"
    answer = client.get(photo_url(photos[0].path))
    assert answer["Cache-Control"] == "public, max-age=31536000, immutable"
    assert Image.open(io.BytesIO(answer.content)).size == (640, 427)


def test_the_same_feed_again_fetches_nothing_again(names, servers):
    servers[0].answers["/a.jpg"] = body(picture())
    names("/a.jpg")
    names("/a.jpg")
    assert fetch_photos() == 0
    assert len(servers[0].asked) == 1


def test_what_a_feed_no_longer_names_goes_and_what_was_uploaded_stays(names, servers):
    servers[0].answers |= {"/a.jpg": body(picture()), "/b.jpg": body(picture("red"))}
    mug = names("/a.jpg", "/b.jpg")
    attach_photo(product=mug, source=io.BytesIO(picture("navy")), position=9)
    names("/b.jpg")
    assert [photo.position for photo in mug.media.all()] == [0, 9]
    names("")
    assert [photo.position for photo in mug.media.all()] == [9]


def test_a_feed_without_the_columns_says_nothing_of_photographs(names, servers, merchant, load):
    servers[0].answers["/a.jpg"] = body(picture())
    mug = names("/a.jpg")
    load(merchant, "id,title,price,availability\nmug,Mug,9 USD,in_stock\n")
    assert mug.media.count() == 1


def test_a_roll_back_brings_the_former_photographs_back(names, servers, merchant):
    servers[0].answers |= {"/a.jpg": body(picture()), "/b.jpg": body(picture("red"))}
    mug = names("/a.jpg")
    before = mug.media.get().path
    names("/b.jpg")
    report = merchant.imports.first()
    assert report.changed == 1
    start_roll_back(import_id=report.pk, merchant=merchant, by=None, enqueue=False)
    roll_back_import(import_id=report.pk)
    fetch_photos()
    assert mug.media.get().path == before


def bomb(side):
    """A picture of few bytes and many pixels."""
    made = io.BytesIO()
    Image.new("1", (side, side)).save(made, "PNG")
    return made.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<svg onload='x'/>", "not a photograph"),
        (b"GIF89a", "not a photograph"),
        (bomb(8_000), "too many pixels"),
        (bomb(14_000), "not a photograph"),
    ],
    ids=["svg", "broken", "large", "bomb"],
)
def test_what_is_no_harmless_picture_is_not_taken(names, servers, content, words):
    servers[0].answers["/a.jpg"] = body(content, Content_Type="image/jpeg")
    ((status, message),) = links(names("/a.jpg"))
    assert status == PhotoLink.Status.FAILED
    assert words in message
    assert not Media.objects.exists()


RED = (300, 200)


def poison(monkeypatch, error):
    """Have Pillow raise this where it decodes the red picture."""

    def upright(image):
        if image.size == RED:
            raise error
        return image

    monkeypatch.setattr(ImageOps, "exif_transpose", upright)


def test_a_photograph_that_breaks_its_decoder_is_given_up_and_holds_up_no_other(names, servers, monkeypatch):
    servers[0].answers |= {"/a.jpg": body(picture("red", RED)), "/b.jpg": body(picture())}
    poison(monkeypatch, ZeroDivisionError("division by zero"))
    mug = names("/a.jpg", "/b.jpg")
    assert links(mug) == [("waiting", "The store could not keep it."), ("done", "")]
    for _ in range(4):
        PhotoLink.objects.update(due_at=now())
        fetch_photos()
    assert links(mug)[0] == ("failed", "The store could not keep it.")
    PhotoLink.objects.update(due_at=now())
    assert fetch_photos() == 0


@pytest.mark.django_db(transaction=True)
def test_a_photograph_that_kills_its_worker_is_given_up_too(merchant, load, servers, monkeypatch):
    servers[0].answers |= {"/a.jpg": body(picture("red", RED)), "/b.jpg": body(picture())}
    # What is no ordinary exception stands for a process that is killed: nobody catches it, nothing is saved.
    poison(monkeypatch, SystemExit(9))
    addresses = f"{servers[0].url('/a.jpg')},{servers[0].url('/b.jpg')}"
    load(merchant, HEADER + f"mug,Mug,8 USD,in_stock,{addresses}\n")
    kills = 0
    for _ in range(12):
        try:
            fetch_photos()
        except SystemExit:
            kills += 1
        PhotoLink.objects.update(due_at=now())
    assert links(Product.objects.get()) == [("failed", "Fetching it never came to an end."), ("done", "")]
    assert kills == 5


@pytest.mark.parametrize("way", ["straight", "redirect"])
def test_nothing_inside_is_ever_read(names, servers, way):
    outside, inside = servers
    outside.answers["/a.jpg"] = lead_to(inside.url("/secret"))
    mug = names("/secret", server=inside) if way == "straight" else names("/a.jpg")
    ((status, message),) = links(mug)
    assert (status, inside.asked) == (PhotoLink.Status.FAILED, [])
    assert "public internet" in message


def test_a_server_that_is_away_is_asked_again_later_and_then_no_more(names, servers):
    servers[0].answers["/a.jpg"] = body(b"", 503)
    mug = names("/a.jpg")
    assert links(mug) == [("waiting", "It answered with status 503.")]
    assert mug.photo_links.get().due_at > now() + timedelta(minutes=4)
    assert fetch_photos() == 0
    for _ in range(4):
        PhotoLink.objects.update(due_at=now())
        fetch_photos()
    assert mug.photo_links.get().status == PhotoLink.Status.FAILED


def test_a_worker_that_died_leaves_its_photographs_to_the_next(names, servers):
    servers[0].answers["/a.jpg"] = body(picture())
    mug = names("/a.jpg")
    PhotoLink.objects.update(status="waiting", due_at=now(), media=None)
    assert fetch_photos() == 1
    assert links(mug) == [("done", "")]
    assert mug.media.count() == 1


def test_what_failed_is_tried_again_by_a_feed_of_another_day(names, servers):
    servers[0].answers["/a.jpg"] = body(b"no picture")
    mug = names("/a.jpg")
    names("/a.jpg")
    assert (links(mug)[0][0], len(servers[0].asked)) == ("failed", 1)
    servers[0].answers["/a.jpg"] = body(picture())
    PhotoLink.objects.update(due_at=now() - timedelta(hours=25))
    names("/a.jpg")
    assert links(mug) == [("done", "")]


def test_what_never_came_to_an_end_gets_one_attempt_a_day(names, servers):
    servers[0].answers["/a.jpg"] = body(b"no picture")
    mug = names("/a.jpg")
    PhotoLink.objects.update(message="Fetching it never came to an end.", due_at=now() - timedelta(hours=25))
    names("/a.jpg")
    assert (mug.photo_links.get().attempts, links(mug)[0][0]) == (5, "failed")


@pytest.mark.django_db(transaction=True)
def test_a_photograph_that_comes_while_its_link_goes_goes_too(merchant, load):
    url = "https://shop.example/a.jpg"
    load(merchant, HEADER + f"mug,Mug,8 USD,in_stock,{url},\n")

    def drop():
        try:
            load(merchant, HEADER + "mug,Mug,8 USD,in_stock,,\n")
        finally:
            connection.close()

    dropping = threading.Thread(target=drop)
    with transaction.atomic():
        link = PhotoLink.objects.select_for_update().get()
        dropping.start()
        until(somebody_waits_for_a_lock)
        link.media = attach_photo(product=link.product, source=io.BytesIO(picture()))
        link.status = PhotoLink.Status.DONE
        link.save()
    dropping.join()
    assert (PhotoLink.objects.count(), Media.objects.count()) == (0, 0)
