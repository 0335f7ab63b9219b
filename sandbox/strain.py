"""How hard a sandbox pressed against its limits: what the host counted, and what its log speaks of. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

# The words in which languages tell the errors that limits cause (ENOMEM, EAGAIN, EMFILE, ENOSPC).
_SIGNS: Final = {
    "memory": ("MemoryError", "Cannot allocate memory", "ENOMEM", "JavaScript heap out of memory"),
    "processes": ("can't start new thread", "Resource temporarily unavailable", "EAGAIN"),
    "open files": ("Too many open files", "EMFILE"),
    "disk": ("No space left on device", "ENOSPC"),
}
_WORTH_TELLING = 0.05


@dataclass(frozen=True, slots=True)
class Strain:
    """Counted since its start by the host; None is what could not be counted.

    `memory_kills` and `refused_processes` are numbers of times, `throttled` is the share of the processor's
    periods in which it was made to wait, `open_files` is the most that one process has open, `disk_full`
    whether nothing more fits into /tmp.
    """

    memory_kills: int | None = None
    refused_processes: int | None = None
    throttled: float | None = None
    open_files: int | None = None
    disk_full: bool | None = None

    def as_json(self) -> dict[str, Any]:
        """What is known."""
        return {key: value for key, value in dataclasses.asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Strain:
        """What `as_json` gave; names that are not known are left out."""
        return cls(**{f.name: data.get(f.name) for f in dataclasses.fields(cls)})


def limits_met(strain: Strain, log_tail: str, *, nofile: int | None = None) -> list[str]:
    """A sentence for each limit that it ran into; the log is the agent's own word and is named as such."""
    told = dict[str, str]()
    if strain.memory_kills:
        told["memory"] = f"Memory: the kernel ended a process of it {_times(strain.memory_kills)}."
    if strain.refused_processes:
        told["processes"] = f"Processes: a new one was refused {_times(strain.refused_processes)}."
    if nofile and strain.open_files is not None and strain.open_files >= nofile * 0.95:
        told["open files"] = f"Open files: a process had {strain.open_files} of {nofile} open."
    if strain.disk_full:
        told["disk"] = "Disk: /tmp was full."
    for name, signs in _SIGNS.items():
        sign = next((sign for sign in signs if sign in log_tail), None)
        if name not in told and sign:
            told[name] = f"{name.capitalize()}: its log says “{sign}”."
    if strain.throttled is not None and strain.throttled >= _WORTH_TELLING:
        told["processor"] = (
            f"Processor: it had to wait in {strain.throttled:.0%} of the time slices in which it had work."
        )
    return list(told.values())


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number:,} times"
