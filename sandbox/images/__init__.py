"""Builds and inspects images; nothing that a seller wrote is executed on the way."""

from sandbox.images.archive import load_archive
from sandbox.images.base import build_base, current_base
from sandbox.images.bundle import build_source
from sandbox.images.errors import BaseUnavailable, ImageRefused
from sandbox.images.records import BuiltImage, ImageFacts, inspect_image

__all__ = [
    "BaseUnavailable",
    "BuiltImage",
    "ImageFacts",
    "ImageRefused",
    "build_base",
    "build_source",
    "current_base",
    "inspect_image",
    "load_archive",
]
