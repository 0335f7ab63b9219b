"""Builds and inspects images; nothing that a seller wrote is executed on the way."""

from sandbox.images.archive import load_archive
from sandbox.images.base import build_base, current_base
from sandbox.images.bundle import build_source
from sandbox.images.errors import BaseUnavailable, ImageRefused
from sandbox.images.records import BuiltImage
from sandbox.images.store import StoredImage, get_image

__all__ = [
    "BaseUnavailable",
    "BuiltImage",
    "ImageRefused",
    "StoredImage",
    "build_base",
    "build_source",
    "current_base",
    "get_image",
    "load_archive",
]
