"""Marked texts as operators' and merchants' pages list them, read only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.db.models import Exists, F, OuterRef, QuerySet

from agentstore.identity.models import Organization
from agentstore.kit.errors import NotFound
from marketplace.catalog.hostile.detector import VERSION
from marketplace.catalog.hostile.signals import MEANINGS, Kind
from marketplace.catalog.models import FeedImport, FeedItemChange, MarkedText, TextExamination

_Status = MarkedText.Status
SHOWS: Final = {
    "open": ("To be decided", (_Status.OPEN,)),
    "noted": ("Pressing only", (_Status.NOTED,)),
    "decided": ("Decided", (_Status.KEPT, _Status.CLEARED, _Status.HIDDEN)),
    "gone": ("No longer there", (_Status.GONE,)),
}


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many texts wait for an operator, and how many products for the detector."""

    open: int
    unexamined: int


def backlog() -> Backlog:
    """What is still to be done."""
    return Backlog(
        open=MarkedText.objects.filter(status=_Status.OPEN).count(),
        unexamined=TextExamination.objects.filter(version__lt=VERSION).count(),
    )


def failed_examinations() -> QuerySet[TextExamination]:
    """Products that the detector could not examine, the latest first."""
    failed = TextExamination.objects.exclude(failure="").select_related("product__owner")
    return failed.order_by("-product")


def texts_to_show(show: str, *, kind: str = "") -> QuerySet[MarkedText]:
    """Texts of all merchants by a key of `SHOWS` and a kind; those asked about first, then the surest."""
    texts = MarkedText.objects.filter(status__in=SHOWS[show][1]).select_related("product__owner")
    if kind:
        texts = texts.filter(kinds__contains=[kind])
    if show == "open":
        return texts.order_by(F("asked_at").asc(nulls_last=True), "-score", "id")
    return texts.order_by("-changed_at", "-id")


def text_to_review(text_id: int) -> MarkedText:
    """One text with its product and merchant. Raises NotFound."""
    found = MarkedText.objects.select_related("product__owner").filter(pk=text_id).first()
    if found is None:
        raise NotFound("There is no such text.")
    return found


def marks_of(merchant: Organization) -> QuerySet[MarkedText]:
    """A merchant's texts that are marked or hide a product, the latest first."""
    told = MarkedText.objects.filter(product__owner=merchant, status__in=(*MarkedText.TOLD, _Status.HIDDEN))
    return told.select_related("product").prefetch_related("changes")


def marks_of_import(feed_import: FeedImport) -> QuerySet[MarkedText]:
    """Marks on products that an import added or changed; a dry run did neither."""
    if feed_import.dry_run:
        return MarkedText.objects.none()
    changed = FeedItemChange.objects.filter(feed_import=feed_import, group_id=OuterRef("product__group_id"))
    return marks_of(feed_import.merchant).filter(Exists(changed))


def meanings(kinds: list[str]) -> list[str]:
    """What kinds try, in words."""
    return [MEANINGS[Kind(kind)] for kind in kinds]
