"""What a check is, and the list of all of them.

A check's id is its function's name; it is what the doctor, the docs and the tests call it, and it stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agentstore.kit.errors import StoreError
from sandbox.bench import Bench
from sandbox.driver import Finding

Seen = tuple[bool, Any]
Judge = Callable[[Bench], Seen]
_DOCS = "docs/operations/sandbox.md, “What each property rests on”"


@dataclass(frozen=True, slots=True)
class Check:
    """One property: `proves` in a sentence, what it `rests_on`, and how to repair it."""

    name: str
    proves: str
    rests_on: str
    fix: str
    judge: Judge

    def __call__(self, bench: Bench) -> Finding:
        """Run it. A probe that ends when it should not is a broken property, not an error."""
        try:
            kept, seen = self.judge(bench)
        except StoreError as failed:
            kept, seen = False, f"{failed.code}: {failed.message}"
        return Finding(self.name, kept, str(seen)[:400], "" if kept else f"{self.fix} See {_DOCS}.")


# What one probe can tell of without doing harm; run by the doctor and before a driver is chosen.
LOOKS: list[Check] = []
# What tries to break out of the limits; takes probes of its own where it leaves them unwell.
ATTACKS: list[Check] = []


def check(kind: list[Check], *, proves: str, rests_on: str, fix: str) -> Callable[[Judge], Check]:
    """Make a check of a function from a bench to (kept, what was seen), and list it."""

    def made(judge: Judge) -> Check:
        found = Check(judge.__name__, proves, rests_on, fix, judge)
        kind.append(found)
        return found

    return made
