"""Photographs on pages."""

from __future__ import annotations

from django import template

from marketplace.catalog.media import small_photo_url

register = template.Library()
register.filter("small_photo", small_photo_url)
