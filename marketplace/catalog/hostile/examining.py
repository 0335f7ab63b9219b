"""Examining products' texts in batches: what changed comes first, then what an older detector judged.

A batch is one transaction that also takes its products out of the line. A worker that is killed leaves them there,
and a text that changes meanwhile is put in line again behind the batch (PostgreSQL's triggers wait for its lock). A
product that cannot be examined holds up no other: why is kept, and it is tried again when its text or the detector
changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import structlog
from django.db import InterfaceError, OperationalError, transaction

from agentstore.kit.clock import now
from agentstore.kit.text import storable
from marketplace.catalog.hostile.detector import VERSION, Judgement, examine
from marketplace.catalog.hostile.fields import texts_of
from marketplace.catalog.models import (
    MarkedText,
    MarkedTextChange,
    Media,
    Product,
    TextExamination,
    Variant,
)

logger = structlog.get_logger(__name__)

BATCH: Final = 200
_Status = MarkedText.Status
_MOST_EVIDENCE: Final = 12


@transaction.atomic
def examine_products(*, limit: int = BATCH, version: int = VERSION) -> int:
    """Examine the next products; gives how many. Two at once share the line; zero means that none is free.

    `version` is that of the detector: products examined by an older one are examined again.
    """
    due = TextExamination.objects.select_for_update(skip_locked=True, of=("self",)).filter(
        version__lt=version
    )
    ids = list(due.order_by("version", "product_id").values_list("product_id", flat=True)[:limit])
    if not ids:
        return 0
    marked: dict[int, dict[str, MarkedText]] = defaultdict(dict)
    for row in MarkedText.objects.select_for_update().filter(product__in=ids):
        marked[row.product_id][row.field] = row
    variants: dict[int, list[Variant]] = defaultdict(list)
    for variant in Variant.objects.filter(product__in=ids).only("product_id", "sku", "options"):
        variants[variant.product_id].append(variant)
    media: dict[int, list[Media]] = defaultdict(list)
    for photo in Media.objects.filter(product__in=ids).only("product_id", "alt"):
        media[photo.product_id].append(photo)
    examined = TextExamination.objects.filter(product__in=ids)
    examined.update(version=version, failure="")
    for product in Product.objects.filter(pk__in=ids).select_related("category", "owner"):
        if why := _examine(product, variants[product.pk], media[product.pk], marked[product.pk], version):
            examined.filter(product=product).update(failure=why)
    return len(ids)


def _examine(
    product: Product,
    variants: Sequence[Variant],
    media: Sequence[Media],
    marked: Mapping[str, MarkedText],
    version: int,
) -> str:
    """Judge and mark one product; gives why that failed, or nothing. Its marks of before stand then."""
    try:
        judged = _judged(texts_of(product, variants, media))
        if judged or marked:
            with transaction.atomic():
                _keep(product.pk, judged, marked, version)
    except (OperationalError, InterfaceError):
        # The database's trouble is not the product's: the whole batch stays in line.
        raise
    except Exception as broken:
        # Whatever a stranger's text breaks, the next one is examined.
        logger.exception("texts_not_examined", product_id=product.pk)
        return storable(f"{type(broken).__name__}: {broken}")[:300]
    return ""


def _judged(texts: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, Judgement]]:
    """The worst text of each field that has a hostile one."""
    found: dict[str, tuple[str, Judgement]] = {}
    for field, written in texts.items():
        judged = [(text, judgement) for text in written if (judgement := examine(text)).hostile]
        if judged:
            found[field] = max(judged, key=lambda one: (one[1].gives_orders, one[1].orders, one[1].pressure))
    return found


def _keep(
    product_id: int,
    judged: Mapping[str, tuple[str, Judgement]],
    marked: Mapping[str, MarkedText],
    version: int,
) -> None:
    """Make the marks say what was found; what an operator decided of the same text stands."""
    for field, (text, judgement) in judged.items():
        known = marked.get(field)
        row = known or MarkedText(product_id=product_id, field=field)
        wanted = _Status.OPEN if judgement.gives_orders else _Status.NOTED
        stands = (
            known is not None
            and known.text == text
            and set(judgement.kinds) <= set(known.kinds)
            and known.status != _Status.GONE
            and not (known.status == _Status.NOTED and wanted == _Status.OPEN)
        )
        row.text = text
        row.kinds = [str(kind) for kind in judgement.kinds]
        row.score = round(judgement.orders if judgement.gives_orders else judgement.pressure, 3)
        row.evidence = [_said(asdict(hit)) for hit in judgement.hits[:_MOST_EVIDENCE]]
        row.version = version
        if stands:
            row.save()
        else:
            # What its merchant asked was about the text of before.
            row.asked_at = None
            # A product that was hidden stays so until an operator has seen the new text.
            to = _Status.OPEN if row.hid_product else wanted
            move_text(row, to=to, reason="the text has changed" if known else "found")
    for field, row in marked.items():
        if field in judged or row.status == _Status.GONE:
            continue
        if not row.hid_product:
            row.asked_at = None
            move_text(row, to=_Status.GONE, reason="the text is no longer there")
        elif row.status == _Status.HIDDEN:
            move_text(row, to=_Status.OPEN, reason="the text is no longer there; the product is still hidden")


def _said(hit: dict[str, Any]) -> dict[str, Any]:
    return {**hit, "kind": str(hit["kind"])}


def move_text(row: MarkedText, *, to: str, reason: str, by: Any = None) -> None:
    """Save a marked text in a new status, with the row that says who moved it and why."""
    before = row.status if row.pk else ""
    row.status, row.changed_at = to, now()
    row.save()
    MarkedTextChange.objects.create(marked_text=row, from_status=before, to_status=to, reason=reason, by=by)


def keep_marked(*, product_id: int, by: Any, reason: str) -> None:
    """Have answers tell of the texts that hid a product, now that it is back; the caller's transaction."""
    for row in MarkedText.objects.select_for_update().filter(product=product_id, status=_Status.HIDDEN):
        row.hid_product = False
        move_text(row, to=_Status.KEPT, reason=reason, by=by)
    MarkedText.objects.filter(product=product_id, hid_product=True).update(hid_product=False)
