"""Idempotency: an answer is kept under the caller's key for two days, and given again instead of acting again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from django.db import DatabaseError, IntegrityError, transaction

from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict, Unavailable
from marketplace.shopping.models import UcpReply
from marketplace.shopping.ucp.answers import Answer
from marketplace.shopping.ucp.callers import Caller

# UCP asks for a day at least, and recommends two.
KEPT_FOR: Final = timedelta(hours=48)
# A first request that has not answered by then was cut off.
_ABANDONED_AFTER: Final = timedelta(minutes=2)


class IdempotencyConflict(Conflict):
    """The key was used with other arguments."""

    code = "idempotency_conflict"


class IdempotencyInProgress(Conflict):
    """The first request with this key has not been answered yet."""

    code = "idempotency_in_progress"


class RepliesUnavailable(Unavailable):
    """Keys cannot be kept now, so nothing is done."""

    code = "idempotency_unavailable"


def answer_once(caller: Caller, operation: str, arguments: Any, act: Callable[[], Answer]) -> Answer:
    """What `act` answers, or has answered to the same request before. Without a key it just acts.

    Raises IdempotencyConflict, IdempotencyInProgress, RepliesUnavailable, and what `act` raises: that is not
    kept, so a request that was refused may be sent again.
    """
    if not caller.key:
        return act()
    text = json.dumps([operation, arguments, caller.signed], sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    try:
        kept, mine = _claim(caller, digest)
    except DatabaseError as away:
        raise RepliesUnavailable("The request cannot be kept now.", hint="Send it again.") from away
    if not mine:
        if kept.digest != digest:
            raise IdempotencyConflict(
                "This idempotency key was used with other arguments.", hint="Use a new one."
            )
        if kept.status is None:
            raise IdempotencyInProgress("The first such request is still being answered.", hint="Ask again.")
        return Answer(kept.body or {}, kept.status)
    try:
        answer = act()
    except BaseException:
        UcpReply.objects.filter(pk=kept.pk).delete()
        raise
    UcpReply.objects.filter(pk=kept.pk).update(status=answer.status, body=answer.body)
    return answer


def _claim(caller: Caller, digest: str) -> tuple[UcpReply, bool]:
    """The key's row, and whether this request is the first with it. An abandoned one is taken over."""
    try:
        with transaction.atomic():
            return UcpReply.objects.create(platform=caller.platform, key=caller.key, digest=digest), True
    except IntegrityError:
        with transaction.atomic():
            kept = (
                UcpReply.objects.select_for_update().filter(platform=caller.platform, key=caller.key).first()
            )
            if kept is None:  # refused a moment ago
                raise IdempotencyInProgress(
                    "The first such request is being answered.", hint="Ask again."
                ) from None
            lost = kept.status is None and kept.at < now() - _ABANDONED_AFTER
            old = kept.at < now() - KEPT_FOR
            if lost or old:
                kept.digest, kept.status, kept.body, kept.at = digest, None, None, now()
                kept.save()
                return kept, True
            return kept, False


def forget_replies() -> int:
    """Delete what is kept longer than promised; gives how many."""
    return UcpReply.objects.filter(at__lt=now() - KEPT_FOR).delete()[0]
