"""Photographs: re-encoded by the store, named by their content, served from the store's own address."""

from __future__ import annotations

import hashlib
import io
from typing import BinaryIO, Final

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction
from PIL import Image, ImageOps, UnidentifiedImageError

from agentstore.kit.errors import Invalid
from marketplace.catalog.models import Media, Product

LONGEST_SIDE: Final = 640
# What a card shows; twice as dense screens take the whole photograph.
SMALL_SIDE: Final = 320
MOST_PIXELS: Final = 50_000_000
_QUALITY: Final = 82


class UnreadablePhoto(Invalid):
    """The file is no picture we can decode, or too large a one."""

    code = "unreadable_photo"


def photo_url(path: str) -> str:
    """The store's own address of a photograph, by `Media.path`."""
    return f"/media/{path}"


def small_photo_url(url: str) -> str:
    """The address of the same photograph, by its `photo_url`, of at most 320 px a side."""
    return url.removesuffix(".webp") + f"-{SMALL_SIDE}.webp"


def read_photo(digest: str, *, small: bool = False) -> bytes:
    """A stored photograph by its content's SHA-256. The small one is made when first asked for, and kept.

    Raises FileNotFoundError, also for one whose writing was cut off.
    """
    name = f"photos/{digest[:2]}/{digest}"
    if not small:
        return _read(f"{name}.webp")
    try:
        return _read(f"{name}-{SMALL_SIDE}.webp")
    except FileNotFoundError:
        content = _shrunk(_read(f"{name}.webp"))
        _keep(f"{name}-{SMALL_SIDE}.webp", content)
        return content


def _read(name: str) -> bytes:
    with default_storage.open(name) as stored:
        content = bytes(stored.read())
    # A RIFF file says how much follows its first eight bytes.
    if len(content) != int.from_bytes(content[4:8], "little") + 8:
        raise FileNotFoundError(name)
    return content


def _keep(name: str, content: bytes) -> None:
    """Store a file, unless it is there; one whose writing was cut off is written anew."""
    if default_storage.exists(name):
        if default_storage.size(name) == len(content):
            return
        default_storage.delete(name)
    default_storage.save(name, ContentFile(content))


def _shrunk(content: bytes) -> bytes:
    with Image.open(io.BytesIO(content), formats=("WEBP",)) as picture:
        picture.thumbnail((SMALL_SIDE, SMALL_SIDE), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", quality=_QUALITY, method=4)
    return buffer.getvalue()


def encode_photo(source: BinaryIO) -> tuple[bytes, int, int]:
    """A picture as WebP of at most 640 px a side, upright and without its metadata; with width and height.

    Raises UnreadablePhoto.
    """
    try:
        with Image.open(source, formats=("JPEG", "PNG", "WEBP", "GIF")) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise UnreadablePhoto("The photograph has too many pixels.", hint="Send a smaller one.")
            opened.draft("RGB", (LONGEST_SIDE * 2, LONGEST_SIDE * 2))
            upright = ImageOps.exif_transpose(opened)
            has_alpha = "A" in upright.getbands() or "transparency" in upright.info
            picture = upright.convert("RGBA" if has_alpha else "RGB")
            picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as broken:
        raise UnreadablePhoto(
            "This is not a photograph that can be read.", hint="Send JPEG, PNG, WebP or GIF."
        ) from broken
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=_QUALITY, method=4)
    return buffer.getvalue(), picture.width, picture.height


@transaction.atomic
def attach_photo(*, product: Product, source: BinaryIO, alt: str = "", position: int = 0) -> Media:
    """Store a photograph of a product; the same picture again changes nothing. Raises UnreadablePhoto."""
    content, width, height = encode_photo(source)
    digest = hashlib.sha256(content).hexdigest()
    name = f"photos/{digest[:2]}/{digest}.webp"
    _keep(name, content)
    media, _ = Media.objects.update_or_create(
        product=product,
        path=name,
        defaults={"alt": alt[:300], "position": position, "width": width, "height": height},
    )
    return media
