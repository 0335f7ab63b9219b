"""A run that is killed anywhere is made again: nothing is lost, nothing is told or noted twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.db import connection, connections

from agentstore.kit.locks import only_one
from billing.models import (
    Incident,
    IncidentChange,
    IncidentLine,
    MovementMark,
    Notice,
    ProcessorMovement,
    Reconciliation,
    ReconciliationChange,
)
from billing.processor import balance
from billing.reconciliation import runs
from tests.billing.killing import sessions, settle_sessions
from tests.billing.test_ledger import in_threads
from tests.billing.test_reconciliation import DAY, NOON, account, buy

__all__ = ["account"]

pytestmark = pytest.mark.django_db(transaction=True)


def run() -> None:
    with time_machine.travel(NOON + timedelta(days=3), tick=False):
        runs.reconcile_day(day=DAY)


def killed_before_write(number: int, work: Callable[[], None]) -> bool:
    """Do the work in a process of its own that dies before its `number`th statement that changes something."""
    others = sessions()
    connections.close_all()
    child = os.fork()
    if child == 0:
        left = [number]

        def die(execute, sql, params, many, context):
            if sql.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE")):
                left[0] -= 1
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)
            return execute(sql, params, many, context)

        try:
            with connection.execute_wrapper(die):
                work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    settle_sessions(besides=others)
    return os.WIFSIGNALED(status)


def test_killed_before_each_of_its_writes(account, monkeypatch, settings):
    monkeypatch.setattr(balance, "_PAGE", 2)
    settings.RECONCILIATION_GRACE_SECONDS = 0
    for number in range(3):
        buy(str(number), booked=number == 0)
    killed = 0

    def beat() -> None:
        # Only DAY is over; each time when an hour has passed since the attempt that was killed.
        with time_machine.travel(NOON + timedelta(hours=13 + killed), tick=False):
            runs.reconcile_due()

    while killed_before_write(killed + 1, beat):
        killed += 1
        # Whatever was committed is whole: an incident has its lines, its row of history and its notice.
        assert IncidentChange.objects.count() == Notice.objects.count() == Incident.objects.count()
        assert IncidentLine.objects.count() == 2 * Incident.objects.count()
        if MovementMark.objects.exists():
            assert ProcessorMovement.objects.count() == 3
    assert killed >= 6, (
        "pages, mark, day, incident, lines, notice, end: what an attempt has done is not done again"
    )
    row = Reconciliation.objects.get()
    assert row.status == "differences"
    assert ProcessorMovement.objects.count() == 3
    assert Incident.objects.get().lines.count() == 2
    assert [it.status for it in ReconciliationChange.objects.order_by("pk")] == ["waiting", "differences"]
    run()
    assert Notice.objects.count() == IncidentChange.objects.count() == 1


def test_a_day_is_reconciled_by_one_at_a_time(account):
    buy("1", booked=False)

    def is_refused(number: int) -> bool:
        try:
            run()
        except runs.UnderWay:
            return True
        return False

    with only_one(runs.lock_of(DAY)):
        assert in_threads(1, is_refused) == [True]
    assert not Reconciliation.objects.exists()
    assert in_threads(1, is_refused) == [False]
    assert Incident.objects.count() == 1
