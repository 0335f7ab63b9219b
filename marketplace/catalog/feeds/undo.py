"""Rolling an import back: its changes in reverse, in batches, each one transaction with its place.

A field goes back only where it still reads as the import left it, so that what was changed by hand since stays.
Stock moves by the difference, so that what was sold since stays sold. A new item is removed, or switched off
where an order or an agent's card refers to it. Only the latest import can be rolled back, then the one before:
so the catalogue ends as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from celery import current_app
from django.db import IntegrityError, transaction
from django.db.models import Model, ProtectedError, Q

from agentstore.identity.models import Organization, User
from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict
from marketplace.catalog.feeds.fields import plain, restore
from marketplace.catalog.feeds.intake import KEPT_FOR
from marketplace.catalog.feeds.progress import MOST_ATTEMPTS, ImportNotFound, lock_merchant, move_import
from marketplace.catalog.feeds.turns import enqueue_next
from marketplace.catalog.models import FeedImport, FeedItemChange, Offer, Product, Variant
from marketplace.catalog.outbox import announce_products
from marketplace.catalog.photo_links import set_links

BATCH: Final = 500
_TASK: Final = "marketplace.catalog.tasks.undo_feed"
_PHOTOS: Final = "product.photos"
_STOCK: Final = "offer.on_hand"
_BROKE_OFF: Final = (
    f"Rolling it back broke off {MOST_ATTEMPTS} times at one place. What was taken back so far stays so."
)


class CannotRollBack(Conflict):
    """This import cannot be rolled back now."""

    code = "cannot_roll_back"


def may_roll_back(feed_import: FeedImport) -> bool:
    """Whether it is the merchant's latest that changed anything, ended, and recent enough."""
    return not _objection(feed_import)


@transaction.atomic
def start_roll_back(
    *, import_id: UUID, merchant: Organization, by: User | None, reason: str = "", enqueue: bool = True
) -> FeedImport:
    """Have a worker roll an import back; `enqueue=False` leaves that to the caller (`roll_back_import`).

    Raises ImportNotFound for another merchant's, CannotRollBack.
    """
    # The row first, as the batches do that may be at work on it.
    feed_import = FeedImport.objects.select_for_update().filter(pk=import_id, merchant=merchant).first()
    if feed_import is None:
        raise ImportNotFound("There is no such import.")
    lock_merchant(merchant.pk)
    if objection := _objection(feed_import):
        raise CannotRollBack(objection)
    move_import(feed_import, to=FeedImport.Status.UNDOING, reason=reason or "rolled back", by=by)
    feed_import.touched_at, feed_import.attempts, feed_import.error = now(), 0, ""
    feed_import.save(update_fields=["status", "touched_at", "attempts", "error"])
    if enqueue:
        transaction.on_commit(lambda: current_app.send_task(_TASK, args=[str(import_id)]))
    return feed_import


def _objection(feed_import: FeedImport) -> str:
    if feed_import.dry_run:
        return "A dry run changed nothing."
    if feed_import.status not in (FeedImport.Status.DONE, FeedImport.Status.FAILED):
        return "Only an import that has ended can be rolled back."
    if feed_import.created_at < now() - KEPT_FOR:
        return f"What an import changed is kept for {KEPT_FOR.days} days."
    if not feed_import.accepted + feed_import.changed:
        return "This import changed nothing."
    others = FeedImport.objects.filter(merchant_id=feed_import.merchant_id, dry_run=False)
    if others.filter(status__in=FeedImport.OPEN).exists():
        return "Another import is under way; wait for its end."
    later = others.filter(created_at__gt=feed_import.created_at).exclude(status=FeedImport.Status.UNDONE)
    if later.filter(Q(accepted__gt=0) | Q(changed__gt=0)).exists():
        return "A later import changed things as well; roll that one back first."
    return ""


def roll_back_import(*, import_id: UUID, batch: int = BATCH) -> FeedImport:
    """Take back what an import changed, from where it stands to the first line. May run twice or after a crash.

    One that breaks off again and again at one place fails, and may be asked for anew. Raises ImportNotFound.
    """
    if _begin(import_id):
        while _undo_batch(import_id, size=batch):
            pass
    return FeedImport.objects.get(pk=import_id)


@transaction.atomic
def _begin(import_id: UUID) -> bool:
    """Count another attempt; False when it was one too many."""
    feed_import = FeedImport.objects.select_for_update().filter(pk=import_id).first()
    if feed_import is None:
        raise ImportNotFound("There is no such import.")
    if feed_import.status != FeedImport.Status.UNDOING:
        return False
    if feed_import.attempts < MOST_ATTEMPTS:
        feed_import.attempts += 1
    else:
        move_import(feed_import, to=FeedImport.Status.FAILED, reason=_BROKE_OFF)
        feed_import.error = _BROKE_OFF
        enqueue_next(feed_import.merchant_id)
    feed_import.touched_at = now()
    feed_import.save(update_fields=["status", "attempts", "error", "touched_at"])
    return feed_import.status == FeedImport.Status.UNDOING


@transaction.atomic
def _undo_batch(import_id: UUID, *, size: int) -> bool:
    """Undo one batch; False when nothing is left to do."""
    feed_import = FeedImport.objects.select_for_update().get(pk=import_id)
    if feed_import.status != FeedImport.Status.UNDOING:
        return False
    lock_merchant(feed_import.merchant_id)
    changes = FeedItemChange.objects.filter(feed_import=feed_import).order_by("-id")
    if feed_import.undone_to is not None:
        changes = changes.filter(pk__lt=feed_import.undone_to)
    taken = list(changes[:size])
    if taken:
        _undo(feed_import, taken)
        FeedItemChange.objects.bulk_update(taken, ["undone", "note"])
        feed_import.undone_to = taken[-1].pk
    else:
        move_import(feed_import, to=FeedImport.Status.UNDONE, reason="every change was dealt with")
        enqueue_next(feed_import.merchant_id)
    feed_import.touched_at, feed_import.attempts = now(), 0
    feed_import.save()
    return bool(taken)


def _undo(feed_import: FeedImport, changes: Sequence[FeedItemChange]) -> None:
    merchant_id = feed_import.merchant_id
    variants = {
        variant.item_id: variant
        for variant in Variant.objects.filter(
            owner=merchant_id, item_id__in={change.item_id for change in changes}
        )
    }
    offers = {
        offer.variant_id: offer
        for offer in Offer.objects.select_for_update()
        .filter(merchant=merchant_id, variant__in=variants.values())
        .order_by("variant_id")
    }
    products = {
        product.group_id: product
        for product in Product.objects.filter(
            owner=merchant_id, group_id__in={change.group_id for change in changes}
        )
    }
    touched = {variant.product_id for variant in variants.values()} | {p.pk for p in products.values()}
    touched_rows: dict[int, _Touched] = {}
    for change in changes:
        variant = variants.get(change.item_id)
        rows: dict[str, Any] = {
            "product": products.get(change.group_id),
            "variant": variant,
            "offer": offers.get(variant.pk) if variant else None,
        }
        change.note = _restore_fields(change, rows)
        change.undone = FeedItemChange.Undone.KEPT if change.note else FeedItemChange.Undone.RESTORED
        for key in change.before:
            kind, _, name = key.partition(".")
            if (row := rows[kind]) and key != _PHOTOS:
                touched_rows.setdefault(id(row), _Touched(row, set(), change)).fields.add(name)
    _save(list(touched_rows.values()))
    gone = [
        change for change in changes if change.kind == FeedItemChange.Kind.NEW and change.item_id in variants
    ]
    touched |= {variant.product_id for variant in variants.values()}
    _remove(gone, variants, offers)
    # Its first item made the product and so comes last.
    made = [change.group_id for change in changes if change.after.get("product.created")]
    Product.objects.filter(owner=merchant_id, group_id__in=made, variants__isnull=True).delete()
    feed_import.restored += sum(change.undone == FeedItemChange.Undone.RESTORED for change in changes)
    feed_import.kept += sum(change.undone == FeedItemChange.Undone.KEPT for change in changes)
    announce_products(touched)


@dataclass(slots=True)
class _Touched:
    """A row with the fields that were set back, and the change that speaks for it."""

    row: Model
    fields: set[str]
    change: FeedItemChange


def _save(touched: Sequence[_Touched]) -> None:
    """Save rows at once; where one no longer fits what was changed since, one by one, and that one stays as it is."""
    try:
        with transaction.atomic():
            for one in touched:
                one.row.save(update_fields=[name.removesuffix("_id") for name in one.fields])
        return
    except IntegrityError:
        if len(touched) == 1:
            touched[0].row.refresh_from_db()
            touched[0].change.undone = FeedItemChange.Undone.KEPT
            touched[0].change.note = "What it was before does not fit what was changed since."
            return
    for one in touched:
        _save([one])


def _restore_fields(change: FeedItemChange, rows: dict[str, Any]) -> str:
    """Set back what the change set; gives why something was left, empty when nothing was."""
    left = []
    for key, before in change.before.items():
        kind, _, name = key.partition(".")
        row, after = rows[kind], change.after.get(key)
        if row is None:
            left.append(name)
        elif key == _PHOTOS:
            set_links({row.pk: before})
        elif key == _STOCK:
            row.on_hand = max(0, row.on_hand + before - after)
        elif plain(getattr(row, name)) == after:
            restore(row, name, before)
        else:
            left.append(name)
    return f"Changed since: {', '.join(left)}."[:200] if left else ""


def _remove(
    changes: Sequence[FeedItemChange], variants: dict[str, Variant], offers: dict[int, Offer]
) -> None:
    """Delete new items at once; where something refers to one of them, one by one."""
    try:
        with transaction.atomic():
            Variant.objects.filter(pk__in=[variants[change.item_id].pk for change in changes]).delete()
        return
    except ProtectedError:
        if len(changes) == 1:
            if offer := offers.get(variants[changes[0].item_id].pk):
                offer.active, offer.updated_at = False, now()
                offer.save(update_fields=["active", "updated_at"])
            changes[0].undone = FeedItemChange.Undone.KEPT
            changes[0].note = "Orders or agents' cards refer to it: it is switched off instead."
            return
    for change in changes:
        _remove([change], variants, offers)
