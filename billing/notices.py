"""Telling organizations about their money: written with what it is about, mailed later, each thing once.

A notice commits with what it tells of, so a killed process neither loses it nor tells of what never was.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from smtplib import SMTPException

import structlog
from django.conf import settings
from django.db import transaction

from agentstore.identity.models import Membership, User
from agentstore.kit.clock import now
from agentstore.kit.mail import build_message
from billing.models import Notice
from billing.models.ledger import PLATFORM

logger = structlog.get_logger(__name__)

_FIRST_WAIT = timedelta(minutes=1)
_LONGEST_WAIT = timedelta(hours=6)
_READERS = (Membership.Role.OWNER, Membership.Role.ADMIN)


@dataclass(frozen=True, slots=True)
class NoticeDraft:
    """A notice to be. `key` says what it is about: a key is told once, whatever the rest says the next time."""

    key: str
    owner_ref: str
    subject: str
    text: str
    path: str = ""


def tell(*, key: str, owner_ref: str, subject: str, text: str, path: str = "") -> None:
    """Tell an organization something, or the operators (owner `platform`), once per key.

    Call it in the transaction of what it tells of.
    """
    tell_many([NoticeDraft(key, owner_ref, subject, text, path)])


def tell_many(drafts: Iterable[NoticeDraft]) -> None:
    """The same for many: those whose key was told before are left out."""
    Notice.objects.bulk_create(
        (
            Notice(
                key=draft.key,
                owner_ref=draft.owner_ref,
                subject=draft.subject[:150],
                text=draft.text,
                path=draft.path,
            )
            for draft in drafts
        ),
        ignore_conflicts=True,
        batch_size=1_000,
    )


def send_due_notices(*, limit: int = 100) -> int:
    """Mail what waits to the organizations' owners and admins; how many were sent.

    Each is claimed before it is sent and marked after it, outside of any transaction: a sender that dies in
    between makes it late, and in the worst case sends it twice. A mail server that is away delays it.
    """
    sent = 0
    for _ in range(limit):
        notice = _claim()
        if notice is None:
            break
        readers = _readers_of(notice.owner_ref)
        try:
            if readers:
                _mail(notice, readers)
        except (OSError, SMTPException) as away:
            logger.warning("notice not sent", notice=notice.pk, error=str(away))
            continue
        Notice.objects.filter(pk=notice.pk).update(sent_at=now())
        sent += 1
    return sent


@transaction.atomic
def _claim() -> Notice | None:
    notice = (
        Notice.objects.select_for_update(skip_locked=True)
        .filter(sent_at=None, retry_at__lte=now())
        .order_by("retry_at")
        .first()
    )
    if notice is not None:
        notice.retry_at = now() + min(_LONGEST_WAIT, _FIRST_WAIT * (1 << min(notice.attempts, 10)))
        notice.attempts += 1
        notice.save(update_fields=["retry_at", "attempts"])
    return notice


def _readers_of(owner_ref: str) -> Sequence[str]:
    if owner_ref == PLATFORM:
        operators = User.objects.filter(is_staff=True, is_active=True)
        return sorted(operators.values_list("email", flat=True))
    kind, _, rest = owner_ref.partition(":")
    try:
        organization_id = uuid.UUID(rest)
    except ValueError:
        return []
    if kind != "org":
        return []
    members = Membership.objects.filter(
        organization_id=organization_id, role__in=_READERS, user__is_active=True
    )
    return sorted(members.values_list("user__email", flat=True))


def _mail(notice: Notice, readers: Sequence[str]) -> None:
    link = f"\n\n{settings.SITE_URL}{notice.path}" if notice.path else ""
    for reader in readers:
        build_message(
            subject=notice.subject, text=notice.text + link, to=[reader], action="See it in the store"
        ).send()
