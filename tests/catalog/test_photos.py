"""Photographs are served by the store itself, and nothing else of its files is."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from marketplace.catalog.media import attach_photo, photo_url, small_photo_url
from marketplace.catalog.models import Product


@pytest.fixture
def teapot(db, settings, tmp_path, merchant):
    """The address of a photograph of 900 by 600 pixels."""
    settings.MEDIA_ROOT = tmp_path
    picture = io.BytesIO()
    Image.new("RGB", (900, 600), "teal").save(picture, "PNG")
    picture.seek(0)
    product = Product.objects.create(owner=merchant, title="Teapot")
    return photo_url(attach_photo(product=product, source=picture).path)


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
    kept = next(tmp_path.rglob("*-320.webp"))
    kept.write_bytes(b"as it was kept")
    assert client.get(small_photo_url(teapot)).content == b"as it was kept"


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
