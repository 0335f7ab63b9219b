"""Keeps the leases of all turns that this process runs: one query for all of them, from a thread of its own.

Were each turn to renew its own, a crowd of turns would stand in line for threads and connections behind what they are
at themselves, until every lease had run out.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog
from django.conf import settings
from django.db import connections

from marketplace.shopping import turns

log = structlog.get_logger(__name__)
# How often within a lease it is renewed: two renewals may fail.
_RENEWALS = 3


@dataclass
class _Keeper:
    """The thread, there while a lease is held."""

    held: dict[uuid.UUID, tuple[str, Callable[[], object]]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    thread: threading.Thread | None = None

    def take(self, turn_id: uuid.UUID, owner: str, lost: Callable[[], object]) -> None:
        with self.lock:
            self.held[turn_id] = owner, lost
            if self.thread is None:
                self.thread = threading.Thread(target=self._run, name="turn-leases", daemon=True)
                self.thread.start()

    def drop(self, turn_id: uuid.UUID) -> None:
        with self.lock:
            self.held.pop(turn_id, None)

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(settings.TURN_LEASE_SECONDS / _RENEWALS)
            with self.lock:
                if not self.held:
                    self.thread = None
                    return
                held = {turn_id: owner for turn_id, (owner, _) in self.held.items()}
            try:
                kept = turns.renew_leases(owners=held)
            except Exception:
                # The database may be back before the leases are over; if it is not, the reaper ends the turns.
                log.warning("leases_not_renewed", turns=len(held), exc_info=True)
            else:
                self._tell_lost(held.keys() - kept)
            finally:
                connections.close_all()

    def _tell_lost(self, gone: set[uuid.UUID]) -> None:
        with self.lock:
            told = [self.held.pop(turn_id)[1] for turn_id in gone if turn_id in self.held]
        for lost in told:
            lost()


_keeper = _Keeper()


@contextmanager
def lease_kept(turn_id: uuid.UUID, owner: str, *, lost: Callable[[], object]) -> Iterator[None]:
    """Renews the lease of a turn meanwhile. `lost` is called, once and from another thread, when it is no longer the
    owner's: whatever is being done for the turn should stop.
    """
    _keeper.take(turn_id, owner, lost)
    try:
        yield
    finally:
        _keeper.drop(turn_id)
