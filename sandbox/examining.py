"""What became of a sandbox whose turn went wrong: looked at on its host, told to the web process that waits.

A connection that breaks does not say why. The web process never speaks to an engine, so it asks here: a task on
the sandbox queue looks at the sandbox before it is removed, records an end on its row, and answers through Valkey.
The answer is a message, not a state: who gets none in time says what it knows.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.db import transaction

from agentstore.kit.ids import new_id
from agentstore.kit.threads import in_thread
from sandbox import announcements, dispatch, doors, protocols
from sandbox.driver import Driver, RunState
from sandbox.engine import relay
from sandbox.failures import Fault, explain
from sandbox.models import Sandbox
from sandbox.strain import Strain
from sandbox.transitions import change_status

log = structlog.get_logger(__name__)
Status = Sandbox.Status
# A container ends a moment after the connection to its agent does.
_SETTLE_SECONDS = 1.0
_LINGER_SECONDS = 0.1
_PING_SECONDS = 0.3
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found: `code` is empty while it runs as it should, else what it failed by."""

    code: str = ""
    log_tail: str = ""
    strain: Strain = field(default_factory=Strain)

    @property
    def fault(self) -> Fault:
        """Whose the code is."""
        return explain(self.code).fault

    def as_json(self) -> dict[str, Any]:
        """What `from_json` takes, JSON-able."""
        return {"code": self.code, "log_tail": self.log_tail, "strain": self.strain.as_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Examination:
        """What `as_json` gave."""
        return cls(data["code"], data["log_tail"], Strain.from_json(data["strain"]))


def meaning_of(sandbox_id: uuid.UUID, state: RunState) -> tuple[str, str]:
    """The code and the words of a sandbox that runs no longer."""
    if not state.exists:
        return "gone", "its container is gone"
    if state.out_of_memory:
        return "out_of_memory", "the agent used more memory than its manifest asks for"
    if state.exit_code == relay.UNATTENDED and doors.was_unattended(sandbox_id):
        return "unattended", "nobody told it that the platform is there"
    return "exited", f"the agent ended with code {state.exit_code}"


async def aexamine(*, sandbox_id: uuid.UUID, wait_seconds: float) -> Examination | None:
    """What became of the sandbox, from a worker that may look; None when nobody answers within the time."""
    ask = new_id().hex
    await in_thread(dispatch.enqueue_examination, sandbox_id, ask)
    answer = await announcements.await_answer(ask, seconds=wait_seconds)
    return None if answer is None else Examination.from_json(json.loads(answer))


def answer_examination(*, sandbox_id: uuid.UUID, ask: str, driver: Driver) -> None:
    """Look, and tell who asked. Safe to repeat."""
    found = examine_sandbox(sandbox_id=sandbox_id, driver=driver)
    announcements.answer(ask, json.dumps(found.as_json()))


def examine_sandbox(*, sandbox_id: uuid.UUID, driver: Driver) -> Examination:
    """Look at a sandbox that something went wrong with; one that has ended is recorded as failed.

    Waits up to a second for an end that is under way. Safe to repeat.
    """
    row = Sandbox.objects.get(pk=sandbox_id)
    if row.status == Status.FAILED:
        return Examination(row.failure_code, row.log_tail)
    if row.status == Status.STOPPED:
        # Released in the middle: whoever did that, it was not the agent.
        return Examination("gone", row.log_tail)
    strain, state = _settled(row, driver)
    tail = doors.read_log(row.pk)
    if not state.running:
        code, reason = meaning_of(row.pk, state)
        with transaction.atomic():
            if change_status(
                sandbox_id=row.pk, to=Status.FAILED, from_=(Status.WARM, Status.CLAIMED), by="examination",
                reason=reason, fault=explain(code).fault, failure_code=code, log_tail=tail,
            ):  # fmt: skip
                transaction.on_commit(lambda: dispatch.enqueue_stop(row.pk))
        return Examination(code, tail, strain)
    if strain.memory_kills:
        return Examination("out_of_memory", tail, strain)
    return Examination("" if doors.local_door(row.pk).is_answering() else "not_listening", tail, strain)


def settle_failure(row: Sandbox, driver: Driver) -> None:
    """Say of a sandbox that stopped listening what it was, before what is left of it is removed."""
    if row.status != Status.FAILED or row.failure_code != "not_listening":
        return
    state = driver.state(row.handle or driver.handle_of(row.pk))
    if not state.running:
        code, reason = meaning_of(row.pk, state)
        Sandbox.objects.filter(pk=row.pk).update(failure_code=code, fault=explain(code).fault, reason=reason)


def _is_ready(row: Sandbox) -> bool:
    speak = protocols.for_name(row.run_spec.protocol)
    return asyncio.run(speak.is_ready(doors.local_door(row.pk), _PING_SECONDS))


def _settled(row: Sandbox, driver: Driver) -> tuple[Strain, RunState]:
    """The last counts while it ran, and its state once it has ended or is seen to go on."""
    began = time.monotonic()
    strain = Strain()
    while True:
        # Counts first: with the last process its cgroup is gone.
        seen = driver.strain(row.handle)
        strain = seen if seen.as_json() else strain
        state = driver.state(row.handle)
        spent = time.monotonic() - began
        if not state.running or strain.memory_kills or spent > _SETTLE_SECONDS:
            return strain, state
        # What dies may accept connections for a while yet: only who answers is believed to live.
        if spent > _LINGER_SECONDS and _is_ready(row):
            return strain, state
        time.sleep(_LOOK_SECONDS)
