"""Photographs are served by the store itself, and nothing else of its files is."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from marketplace.catalog.media import attach_photo, photo_url, small_photo_url
from marketplace.catalog.models import Product


def picture():
    file = io.BytesIO()
    Image.new("RGB", (900, 600), "teal").save(file, "PNG")
    file.seek(0)
    return file


@pytest.fixture
def teapot(db, settings, tmp_path, merchant):
    """The address of a photograph of 900 by 600 pixels."""
    settings.MEDIA_ROOT = tmp_path
    product = Product.objects.create(owner=merchant, title="Teapot")
    return photo_url(attach_photo(product=product, source=picture()).path)


def test_a_photograph_is_public_and_kept_by_browsers(client, teapot):
    answer = client.get(teapot)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "image/webp"
    assert "immutable" in answer["Cache-Control"]
    assert Image.open(io.BytesIO(answer.content)).size == (640, 427)


def test_a_card_gets_a_small_one_that_is_made_once(client, teapot, tmp_path):
    answer = client.get(small_photo_url(teapot))
    assert answer.status_code == 200
    assert Image.open(io.BytesIO(answer.content)).size == (320, 214)
    next(tmp_path.rglob(teapot.rpartition("/")[2])).unlink()
    assert client.get(small_photo_url(teapot)).content == answer.content


def test_a_file_whose_writing_was_cut_off_is_written_anew(client, teapot, tmp_path, merchant):
    small = client.get(small_photo_url(teapot)).content
    whole = client.get(teapot).content
    for file in tmp_path.rglob("*.webp"):
        file.write_bytes(file.read_bytes()[:-9])
    assert client.get(teapot).status_code == client.get(small_photo_url(teapot)).status_code == 404
    attach_photo(product=Product.objects.get(), source=picture())
    assert client.get(teapot).content == whole
    assert client.get(small_photo_url(teapot)).content == small
    assert len(list(tmp_path.rglob("*.webp"))) == 2


@pytest.mark.parametrize(
    "path",
    [
        "bundles/secret.zip",
        "photos/../bundles/secret.zip",
        f"photos/ab/{'a' * 64}.webp",
        "photos/ab/x.webp",
        f"photos/ab/{'a' * 64}-320.webp",
        f"photos/ab/{'a' * 64}-99999.webp",
    ],
)
def test_nothing_else_is_served(client, path):
    assert client.get(f"/media/{path}").status_code == 404
