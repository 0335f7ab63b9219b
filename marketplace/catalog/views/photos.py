"""Photographs of products: public, named by their content, so that a browser asks once."""

from __future__ import annotations

from typing import Final

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from marketplace.catalog.media import read_photo

_ONE_YEAR: Final = 365 * 24 * 3600


@require_safe
def photo(request: HttpRequest, digest: str, small: str | None = None) -> HttpResponse:
    """One photograph. The address's pattern lets nothing else of the store's files be named."""
    try:
        content = read_photo(digest, small=bool(small))
    except FileNotFoundError:
        raise Http404("There is no such photograph.") from None
    response = HttpResponse(content, content_type="image/webp")
    response["Cache-Control"] = f"public, max-age={_ONE_YEAR}, immutable"
    return response
