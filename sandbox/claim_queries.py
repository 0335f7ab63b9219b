"""The two statements of the hot path, in SQL: a claim of a warm sandbox waits for the database twice, and for nothing
else. (The ORM takes longer to write the first one than PostgreSQL to answer it.)
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import NamedTuple

from django.db import connection

_HELD = """
SELECT s.id, s.tenant, s.spec_key, s.status, s.host, COALESCE(h.status, ''), COALESCE(h.address, ''),
       COALESCE(s.ready_at < s.claimed_at, false)
  FROM sandbox_sandbox s LEFT JOIN sandbox_host h ON h.name = s.host
 WHERE s.claim_key = %s AND s.claim_key <> '' AND s.status IN ('starting', 'warm', 'claimed')
"""

# A row that another claim holds at this moment is passed over; a second claim of the same key fails on the constraint
# `one_live_sandbox_per_claim`.
_TAKE_WARM = """
WITH mine AS (
    SELECT s.id, COALESCE(h.address, '') AS address
      FROM sandbox_sandbox s LEFT JOIN sandbox_host h ON h.name = s.host
     WHERE s.status = 'warm' AND s.tenant = %(tenant)s AND s.spec_key = %(spec_key)s
       AND (s.host = '' OR h.status = 'up' AND (s.host = %(here)s OR h.address <> ''))
     ORDER BY s.ready_at LIMIT 1
       FOR UPDATE OF s SKIP LOCKED
), taken AS (
    UPDATE sandbox_sandbox s
       SET status = 'claimed', claim_key = %(claim_key)s, claimed_at = %(at)s, last_used_at = %(at)s,
           busy_until = %(busy_until)s
      FROM mine WHERE s.id = mine.id
    RETURNING s.id, s.host, mine.address
), noted AS (
    INSERT INTO sandbox_sandboxstatuschange (sandbox_id, from_status, to_status, by, reason, at)
    SELECT id, 'warm', 'claimed', 'pool', 'claimed', %(at)s FROM taken
)
SELECT id, host, address FROM taken
"""


class HeldRow(NamedTuple):
    """The live sandbox of a claim, and how its host is."""

    id: uuid.UUID
    tenant: str
    spec_key: str
    status: str
    host: str
    host_status: str
    address: str
    was_warm: bool


class TakenRow(NamedTuple):
    """A sandbox that was warm and is the claim's now."""

    id: uuid.UUID
    host: str
    address: str


def find_held(*, claim_key: str) -> HeldRow | None:
    """The live sandbox that the claim has already."""
    with connection.cursor() as cursor:
        cursor.execute(_HELD, [claim_key])
        found = cursor.fetchone()
    return None if found is None else HeldRow(*found)


def take_warm(
    *, tenant: str, spec_key: str, claim_key: str, here: str, at: datetime, busy_until: datetime
) -> TakenRow | None:
    """Claim the oldest warm sandbox that a process on the host `here` can use, and note the change of its status.

    Raises IntegrityError when the claim key has a live sandbox.
    """
    parameters: dict[str, str | datetime] = {
        "tenant": tenant, "spec_key": spec_key, "claim_key": claim_key, "here": here, "at": at,
        "busy_until": busy_until,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_TAKE_WARM, parameters)
        found = cursor.fetchone()
    return None if found is None else TakenRow(*found)
