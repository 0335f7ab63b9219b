"""A submission's checks as the verdict page lists them: done, under way, waiting or not run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from marketplace.publishing.checks import REGISTRY, CheckKind
from marketplace.publishing.models import Check, Submission

_WORTH_TELLING_MS = 100


@dataclass(frozen=True, slots=True)
class Row:
    """One check as a line of the page; `tone` is one of the look's."""

    kind: CheckKind
    tone: str
    outcome: str
    detail: str
    busy: bool = False
    log: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """All rows, and how many of them have a result."""

    rows: list[Row]
    done: int
    total: int


def progress_of(submission: Submission) -> Progress:
    """The checks of a submission in their order."""
    results = {check.name: check for check in submission.checks.all()}
    rows = list[Row]()
    busy_given = False
    for kind in REGISTRY.values():
        if (check := results.get(kind.name)) is not None:
            rows.append(_judged(kind, check))
        elif not submission.is_open:
            rows.append(Row(kind, "neutral", "Not run", ""))
        elif kind.stage == submission.status and not busy_given:
            busy_given = True
            rows.append(Row(kind, "info", "Running", kind.running, busy=True))
        else:
            rows.append(Row(kind, "neutral", "Waiting", ""))
    return Progress(rows, done=len(results), total=len(REGISTRY))


def _judged(kind: CheckKind, check: Check) -> Row:
    log = [str(line) for line in check.evidence.get("log", ())]
    milliseconds = check.duration_ms or 0
    took = f", {milliseconds / 1000:.1f} s" if milliseconds >= _WORTH_TELLING_MS else ""
    return Row(
        kind,
        tone="success" if check.passed else "error",
        outcome=("Passed" if check.passed else "Failed") + took,
        detail=check.detail,
        log=log,
    )
