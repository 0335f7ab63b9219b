"""Counts and times of what happens to sandboxes, summed over all processes and hosts in Valkey.

An event costs its caller a dictionary entry: a thread adds what was gathered to Valkey every second. What is lost
with a process or with Valkey's data is a counter that starts again, which Prometheus expects.
`sandbox.exposition` shows them.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import threading
from collections import Counter

import redis
from django.conf import settings

from sandbox.places import stack_name

FLUSH_SECONDS = 1.0
# Upper bounds in seconds: a warm claim takes milliseconds, a start up to half a minute, a wait some minutes.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0)

_gathered: Counter[str] = Counter()
_lock = threading.Lock()
_flushers: dict[int, threading.Thread] = {}


def field_of(name: str, labels: dict[str, str]) -> str:
    """The name under which a value is kept."""
    return json.dumps([name, labels], sort_keys=True)


def count(name: str, amount: float = 1, **labels: str) -> None:
    """One more of something."""
    _add({field_of(name, labels): amount})


def observe(name: str, seconds: float, **labels: str) -> None:
    """A time, into the first bucket that holds it."""
    bound = next((f"{b:g}" for b in BUCKETS if seconds <= b), "+Inf")
    _add(
        {
            field_of(f"{name}_bucket", {**labels, "le": bound}): 1,
            field_of(f"{name}_sum", labels): seconds,
        }
    )


def read_all() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """All values by name and labels; nothing when Valkey is away."""
    flush()
    try:
        kept = _client().hgetall(_key())
    except redis.RedisError:
        return {}
    values = {}
    for field, value in kept.items():
        name, labels = json.loads(field)
        values[name, tuple(sorted(labels.items()))] = float(value)
    return values


def flush() -> None:
    """Add what was gathered to Valkey now; kept for the next time when that is away."""
    with _lock:
        gathered = dict(_gathered)
        _gathered.clear()
    if not gathered:
        return
    try:
        pipeline = _client().pipeline(transaction=False)
        for field, amount in gathered.items():
            pipeline.hincrbyfloat(_key(), field, amount)
        pipeline.execute()
    except redis.RedisError:
        with _lock:
            _gathered.update(gathered)


def _add(amounts: dict[str, float]) -> None:
    with _lock:
        _gathered.update(amounts)
        if os.getpid() in _flushers:
            return
        # A process that was forked has none of its parent's threads.
        thread = threading.Thread(target=_flush_on, name="sandbox-metrics", daemon=True)
        _flushers[os.getpid()] = thread
    atexit.register(flush)
    thread.start()


def _flush_on() -> None:
    pause = threading.Event()
    while True:
        pause.wait(FLUSH_SECONDS)
        flush()


@functools.cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.VALKEY_URL, socket_timeout=1, socket_connect_timeout=1)


def _key() -> str:
    return f"sandbox:{stack_name()}:metrics"
