"""How often one conversation may call: so many calls a second, in a turn as many as its version is granted."""

from __future__ import annotations

import functools
import time

import redis
import structlog
from django.conf import settings

from agentstore.kit.errors import Unavailable
from marketplace.gateway.auth import Caller
from marketplace.gateway.errors import TooFast, TooManyCalls

log = structlog.get_logger(__name__)

_TURN_SECONDS = 3600


def count_call(caller: Caller) -> None:
    """Count one call. Raises TooFast, TooManyCalls; Unavailable when there is nothing to count with."""
    second = f"gateway:second:{caller.conversation.pk.hex}:{int(time.time())}"
    turn = f"gateway:turn:{caller.turn.pk.hex}"
    try:
        with _client().pipeline(transaction=False) as pipeline:
            pipeline.incr(second)
            pipeline.expire(second, 2)
            pipeline.incr(turn)
            pipeline.expire(turn, _TURN_SECONDS)
            in_second, _, in_turn, _ = pipeline.execute()
    except redis.RedisError as away:
        log.warning("calls_not_counted", exc_info=True)
        raise Unavailable("The gateway can't count calls now.", hint="Try again in a moment.") from away
    if in_second > settings.GATEWAY_CALLS_PER_SECOND:
        raise TooFast(
            f"At most {settings.GATEWAY_CALLS_PER_SECOND} calls a second.",
            hint="Wait a second and call again.",
        )
    if in_turn > caller.calls_per_turn:
        raise TooManyCalls(
            f"A turn of this agent has at most {caller.calls_per_turn} calls.",
            hint="Answer with what you have.",
        )


@functools.cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.VALKEY_URL, socket_timeout=5)
