"""Why a turn failed, in words: to the shopper whose fault it was and what to do, never what broke inside."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.failures import Fault, SandboxFailure
from sandbox.pool import NoCapacity

_OURS = "Something on our side broke. Nothing was charged. Please try again."
_PLATFORM = {
    "lease_lost": "We lost the connection to {agent}. What was shown stays. Please try again.",
    "host_lost": "We lost the machine that {agent} was running on. What was shown stays. Please try again.",
    "no_capacity": "The store is busy: {agent} could not be started in time. Please try again soon.",
}
_AGENT = {
    "turn_timeout": "{agent} took too long to answer. You can try again.",
    "empty_answer": "{agent} had nothing to say. You can try again, or ask in other words.",
    "answer_too_large": "{agent} said more than fits here. You can try again.",
    "start_timeout": "{agent} did not start in time. You can try again.",
    "out_of_memory": "{agent} ran out of memory. You can try again.",
}
_THEIRS = "{agent} ran into a problem and could not finish. You can try again."


@dataclass(frozen=True, slots=True)
class Failure:
    """Whose fault it was, and a typed code."""

    fault: Fault
    code: str

    def words(self, agent: str) -> str:
        """What the shopper reads; `agent` is the agent's name."""
        return failure_words(self.fault, self.code, agent)


LOST = Failure(Fault.PLATFORM, "lease_lost")
INTERNAL = Failure(Fault.PLATFORM, "internal_error")


def failure_words(fault: str, code: str, agent: str) -> str:
    """A failure as the shopper reads it."""
    table, other = (_AGENT, _THEIRS) if fault == Fault.AGENT else (_PLATFORM, _OURS)
    return table.get(code, other).format(agent=agent)


def failure_of(error: Exception) -> Failure:
    """Whose fault an error in a turn was: what is not known to be the agent's is the platform's."""
    if isinstance(error, SandboxFailure):
        return Failure(Fault(error.fault), error.code)
    if isinstance(error, NoCapacity):
        return Failure(Fault.PLATFORM, error.code)
    return INTERNAL
