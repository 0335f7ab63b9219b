"""Places on the host: a row that holds one before anything is started."""

from __future__ import annotations

from django.conf import settings
from django.db import connection, transaction

from sandbox import dispatch
from sandbox.models import Sandbox
from sandbox.spec import RunSpec
from sandbox.transitions import note_change, record_change

# Any constant: it keeps two callers from counting the same free place.
_LOCK = 0x5A4DB0C5


@transaction.atomic
def reserve_place(*, spec: RunSpec, tenant: str, claim_key: str, by: str, evict: bool) -> Sandbox | None:
    """A starting sandbox and its enqueued start; None when SANDBOX_MAX are live.

    With `evict`, the sandbox that has been warm the longest makes room: a conversation goes before a reserve.
    Raises IntegrityError when the claim key has a live sandbox.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    if Sandbox.objects.filter(status__in=Sandbox.LIVE).count() >= settings.SANDBOX_MAX and not (
        evict and _evict_one()
    ):
        return None
    row = Sandbox.objects.create(
        image_id=spec.image_id,
        tenant=tenant,
        claim_key=claim_key,
        spec=spec.as_json(),
        spec_key=spec.fingerprint,
    )
    note_change(row, before="", by=by, reason="for a claim" if claim_key else "to be kept warm")
    sandbox_id = row.pk
    transaction.on_commit(lambda: dispatch.enqueue_start(sandbox_id))
    return row


def _evict_one() -> bool:
    row = (
        Sandbox.objects.select_for_update(skip_locked=True)
        .filter(status=Sandbox.Status.WARM)
        .order_by("ready_at")
        .first()
    )
    if row is None:
        return False
    sandbox_id = row.pk
    record_change(row, to=Sandbox.Status.STOPPED, by="pool", reason="made room for a conversation")
    transaction.on_commit(lambda: dispatch.enqueue_stop(sandbox_id))
    return True
