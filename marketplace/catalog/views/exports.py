"""A merchant's catalogue and offers as files: everyone can leave."""

from __future__ import annotations

from django.http import HttpRequest, StreamingHttpResponse
from django.views.decorators.http import require_GET

from agentstore.kit.tables import in_batches, stream_csv
from marketplace.catalog.feeds.export import (
    FEED_COLUMNS,
    OFFER_COLUMNS,
    described_by,
    feed_rows,
    offer_rows,
    offered_by,
)
from marketplace.catalog.views.merchant import merchant_for


@require_GET
def catalogue(request: HttpRequest, slug: str) -> StreamingHttpResponse:
    """All items as a feed. Its text is exact, so that the file can be imported again."""
    merchant = merchant_for(request, slug)
    return stream_csv(
        request, filename=f"{merchant.slug}-catalogue.csv", header=FEED_COLUMNS,
        read=in_batches(described_by(merchant), feed_rows), exact=True,
    )  # fmt: skip


@require_GET
def offers(request: HttpRequest, slug: str) -> StreamingHttpResponse:
    """All offers with prices and stock as they are now."""
    merchant = merchant_for(request, slug)
    return stream_csv(
        request, filename=f"{merchant.slug}-offers.csv", header=OFFER_COLUMNS,
        read=in_batches(offered_by(merchant), offer_rows),
    )  # fmt: skip
