"""Photographs are served by the store itself, and nothing else of its files is."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from marketplace.catalog.media import attach_photo, photo_url
from marketplace.catalog.models import Product


@pytest.mark.django_db
def test_a_photograph_is_public_and_kept_by_browsers(client, settings, tmp_path, merchant):
    settings.MEDIA_ROOT = tmp_path
    picture = io.BytesIO()
    Image.new("RGB", (900, 600), "teal").save(picture, "PNG")
    picture.seek(0)
    media = attach_photo(product=Product.objects.create(owner=merchant, title="Teapot"), source=picture)
    answer = client.get(photo_url(media.path))
    assert answer.status_code == 200
    assert answer["Content-Type"] == "image/webp"
    assert "immutable" in answer["Cache-Control"]
    assert Image.open(io.BytesIO(answer.content)).size == (640, 427)


@pytest.mark.parametrize(
    "path",
    ["bundles/secret.zip", "photos/../bundles/secret.zip", f"photos/ab/{'a' * 64}.webp", "photos/ab/x.webp"],
)
def test_nothing_else_is_served(client, path):
    assert client.get(f"/media/{path}").status_code == 404
