"""Photographs on pages."""

from __future__ import annotations

from django import template

from marketplace.catalog.media import small_photo_url

register = template.Library()


@register.filter
def small_photo(url: str) -> str:
    """The address of the same photograph for a card."""
    return small_photo_url(url)
