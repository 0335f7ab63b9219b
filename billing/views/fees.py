"""What the store charges, for everybody to read: in force, announced, and before."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from billing.models import PriceRule, PriceVersion
from billing.pricing import NOTICE


@require_GET
def fees(request: HttpRequest) -> HttpResponse:
    """/fees/: every published price version, the coming ones first."""
    versions = (
        PriceVersion.objects.filter(currency=settings.STORE_CURRENCY)
        .exclude(status__in=[PriceVersion.Status.DRAFT, PriceVersion.Status.WITHDRAWN])
        .order_by("-effective_at")
        .prefetch_related("rules")[:20]
    )
    return render(
        request,
        "billing/fees.html",
        {
            "versions": [(version, sorted(version.rules.all(), key=_order)) for version in versions],
            "notice_days": NOTICE.days,
        },
    )


def _order(rule: PriceRule) -> tuple[bool, str, str]:
    """PPCv first; in each kind the default before the categories."""
    return rule.kind != PriceRule.Kind.PPCV, rule.kind, rule.category
