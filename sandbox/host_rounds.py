"""What a sandbox host does by itself while its worker runs: beats, is proven anew, cleans up.

A thread of the sandbox worker, so that it needs no beat and ends with the worker: a host whose worker is gone is not
heard of and counts as lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog
from django.conf import settings
from django.db import close_old_connections, connections

from agentstore.kit.errors import StoreError
from sandbox import drivers, hosts, proof, reaper
from sandbox.images import garbage
from sandbox.models import Host, Sandbox

log = structlog.get_logger(__name__)
BEAT_SECONDS = 5.0
REAP_SECONDS = 15.0
FORGET_SECONDS = 3600.0
# What is broken is looked at again this often, so that a host that was mended is green by itself.
RETRY_SECONDS = 60.0


class HostRounds:
    """The rounds of this host; one per sandbox worker."""

    def __init__(self) -> None:
        self._end = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._every, args=(BEAT_SECONDS, self._beat), name="host-beat", daemon=True
            ),
            threading.Thread(
                target=self._every, args=(REAP_SECONDS, self._reap), name="host-reap", daemon=True
            ),
            threading.Thread(
                target=self._every, args=(BEAT_SECONDS, self._prove), name="host-proof", daemon=True
            ),
            threading.Thread(
                target=self._every, args=(FORGET_SECONDS, self._forget), name="host-forget", daemon=True
            ),
        ]
        self._prove_at = 0.0
        self._resumed = False

    def start(self) -> None:
        """Make this host known, take up what a worker before this one left, and go on until `end`."""
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """No more rounds; one that runs is finished."""
        self._end.set()

    def _every(self, seconds: float, round_: Callable[[], None]) -> None:
        while not self._end.is_set():
            close_old_connections()
            try:
                round_()
            except Exception:
                # The database or the engine may be back at the next round; a host must not fall silent for good.
                log.exception("sandbox.round_failed", round=round_.__name__)
            finally:
                connections.close_all()
            self._end.wait(seconds)

    def _beat(self) -> None:
        hosts.beat()
        hosts.note_lost_hosts()

    def _reap(self) -> None:
        # A worker that was killed has told nobody: what it was at is handed out again first.
        reaper.resume_starts(at_once=not self._resumed)
        self._resumed = True
        if Sandbox.objects.filter(host__in=("", hosts.this_host()), removed_at=None).exists():
            reaper.reap_sandboxes(driver=drivers.cleaning_driver())

    def _forget(self) -> None:
        garbage.forget_on_this_host(driver=drivers.cleaning_driver())

    def _prove(self) -> None:
        if time.monotonic() < self._prove_at:
            return
        host = prove_host()
        wait = RETRY_SECONDS if host.refusal else float(settings.SANDBOX_PROOF_SECONDS)
        self._prove_at = time.monotonic() + wait


def prove_host() -> Host:
    """Choose this host's driver, if that was not done, look around from inside a sandbox, and record what was found.

    Takes some seconds. What is broken stops new sandboxes here until a later proof finds it mended.
    """
    hosts.beat()
    try:
        driver = drivers.chosen_driver()
        findings = proof.prove(driver)
    except StoreError as none:
        return hosts.record_refusal(why=none.message)
    choice = drivers.last_choice()
    return hosts.record_proof(driver=driver, findings=findings, reason=choice.why if choice else "")
