"""How often a caller may ask: counted in the cache, per caller and minute."""

from __future__ import annotations

from django.core.cache import cache

from agentstore.kit.clock import now
from agentstore.kit.errors import TooMany


class TooManyCalls(TooMany):
    """One caller asked too often within a minute."""

    code = "too_many_calls"


def count_call(caller: str, *, per_minute: int, hint: str) -> None:
    """Count a call of this caller; `hint` says how to need fewer. Raises TooManyCalls past the running minute's."""
    key = f"calls:{caller}:{now():%H%M}"
    cache.add(key, 0, timeout=90)
    try:
        made = cache.incr(key)
    except ValueError:
        # Evicted in between: then it is the first that is known of.
        made = 1
    if made > per_minute:
        raise TooManyCalls(f"At most {per_minute} calls a minute.", hint=hint)
