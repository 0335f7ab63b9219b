"""What a fee was for, in words that only the rooms above know: they register who tells them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from django.utils.module_loading import import_string

from billing.models import UsageEvent

# Who reads: nobody is told what is not theirs to know.
Reader = Literal["merchant", "developer", "operator"]


@dataclass(frozen=True, slots=True)
class Subject:
    """A card, an order line, a conversation: what it is, more about it, and its page for this reader, if it has one."""

    title: str
    detail: str = ""
    url: str = ""


Teller = Callable[[Sequence[UsageEvent], Reader], dict[uuid.UUID, list[Subject]]]
_TELLERS: list[str] = []


def register_teller(path: str) -> None:
    """Have fees' subjects told by the Teller of this dotted path, which leaves out the fees that it knows nothing of.

    It is imported when it is first asked: processes that only start sandboxes or migrate do without what it needs.
    """
    if path not in _TELLERS:
        _TELLERS.append(path)


def subjects_of(event: UsageEvent, *, reader: Reader) -> list[Subject]:
    """What one fee was for."""
    tellers: list[Teller] = [import_string(path) for path in _TELLERS]
    return [subject for tell in tellers for subject in tell([event], reader).get(event.pk, [])]
