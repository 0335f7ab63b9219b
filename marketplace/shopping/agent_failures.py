"""How an agent failed lately, for its developer: by version and code with counts, and one by one.

Two things fail: a turn, and a sandbox that served no turn at that moment (while it started or waited, or between two
messages). A sandbox's failure in a turn is that turn's and is not counted twice.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import CharField, Count, F, Max, Q, QuerySet, Value
from django.db.models.functions import Cast, Concat

from agentstore.kit.clock import now
from marketplace.publishing.models import Agent, Version
from marketplace.shopping.agent_logs import readable_log
from marketplace.shopping.conversations import conversation_of_claim
from marketplace.shopping.failures import explain_failure
from marketplace.shopping.models import Message, Turn
from sandbox.failures import Explained, Fault
from sandbox.models import Sandbox

WINDOW: Final = timedelta(days=30)
TURN, SANDBOX = "turn", "sandbox"
_COLUMNS = ("kind", "id", "tenant", "code", "ended_at")


@dataclass(frozen=True, slots=True)
class Counted:
    """One code of one version: how often, and when last."""

    semver: str
    code: str
    explained: Explained
    number: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Listed:
    """One failure. `turn` is None where no turn was running; its log then stands here."""

    semver: str
    code: str
    explained: Explained
    at: datetime
    turn: Turn | None
    log: str


def count_failures(agent: Agent) -> list[Counted]:
    """By version and code within WINDOW, the most frequent first."""
    versions = _versions(agent)
    found = dict[tuple[str, str], tuple[int, datetime]]()
    for rows in (_turns(agent), _sandboxes(versions)):
        for row in (
            rows.order_by().values("tenant", "code").annotate(number=Count("id"), last=Max("ended_at"))
        ):
            key = (row["tenant"], row["code"])
            number, last = found.get(key, (0, row["last"]))
            found[key] = (number + row["number"], max(last, row["last"]))
    counted = [
        Counted(versions[tenant].semver, code, explain_failure(code), number, last)
        for (tenant, code), (number, last) in found.items()
    ]
    return sorted(counted, key=lambda row: (-row.number, row.semver, row.code))


def failures_of(agent: Agent) -> QuerySet[Any]:
    """All within WINDOW, the newest first; slices of it are made readable by `listed`."""
    both = _turns(agent).values(*_COLUMNS).union(_sandboxes(_versions(agent)).values(*_COLUMNS), all=True)
    return both.order_by("-ended_at", "-id")


def listed(agent: Agent, rows: Iterable[dict[str, Any]]) -> list[Listed]:
    """A page of `failures_of` as it is shown."""
    rows, versions = list(rows), _versions(agent)
    turns = Turn.objects.in_bulk([row["id"] for row in rows if row["kind"] == TURN])
    sandboxes = Sandbox.objects.in_bulk([row["id"] for row in rows if row["kind"] == SANDBOX])
    said = _said(sandboxes.values())
    logs = {
        row.pk: readable_log(row.log_tail, said=said.get(row.claim_key, ())) for row in sandboxes.values()
    }
    return [
        Listed(
            semver=versions[row["tenant"]].semver, code=row["code"], explained=explain_failure(row["code"]),
            at=row["ended_at"], turn=turns.get(row["id"]), log=logs.get(row["id"], ""),
        )
        for row in rows
    ]  # fmt: skip


def _versions(agent: Agent) -> dict[str, Version]:
    return {version.tenant: version for version in agent.versions.all()}


def _turns(agent: Agent) -> QuerySet[Any]:
    return Turn.objects.filter(
        conversation__agent=agent, status=Turn.Status.FAILED, ended_at__gt=now() - WINDOW
    ).annotate(
        kind=Value(TURN), code=F("failure"),
        tenant=Concat(Value("version:"), Cast("conversation__version_id", CharField())),
    )  # fmt: skip


def _sandboxes(versions: dict[str, Version]) -> QuerySet[Any]:
    """The agent's own failures outside of turns."""
    between = Q(changes__from_status=Sandbox.Status.CLAIMED, changes__by__in=("reaper", "pool"))
    served_nobody = Q(claim_key="")
    died_between = Q(pk__in=Sandbox.objects.filter(between, changes__to_status="failed").values("pk"))
    return Sandbox.objects.filter(
        served_nobody | died_between, tenant__in=versions, status=Sandbox.Status.FAILED, fault=Fault.AGENT,
        ended_at__gt=now() - WINDOW,
    ).annotate(kind=Value(SANDBOX), code=F("failure_code"))  # fmt: skip


def _said(sandboxes: Iterable[Sandbox]) -> dict[str, Sequence[str]]:
    """What shoppers said in the conversations that these served, by claim key."""
    keys: dict[uuid.UUID, str] = {}
    for row in sandboxes:
        conversation_id = conversation_of_claim(row.claim_key)
        if conversation_id is not None:
            keys[conversation_id] = row.claim_key
    said = dict[str, list[str]]()
    words = Message.objects.filter(conversation_id__in=keys, role=Message.Role.SHOPPER)
    for conversation_id, text in words.values_list("conversation_id", "text"):
        said.setdefault(keys[conversation_id], []).append(text)
    return {key: tuple(texts) for key, texts in said.items()}
