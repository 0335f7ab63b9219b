"""Why a turn failed, in words: to the shopper what to do next, to the developer whose fault it was and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from sandbox.failures import EXPLAINED, Explained, Fault, SandboxFailure, explain
from sandbox.pool import NoCapacity

# What every failure code says to a shopper; `{agent}` is the agent's name.
SHOPPER: Final[dict[str, str]] = {
    "exited": "{agent} stopped in the middle. You can try again.",
    "out_of_memory": "{agent} took on more than it could carry and stopped. You can try again.",
    "start_timeout": "{agent} did not start in time. You can try again.",
    "not_healthy": "{agent} did not get ready in time. You can try again.",
    "not_listening": "{agent} stopped listening. You can try again.",
    "unsafe_socket": "{agent} ran into a problem and could not finish. You can try again.",
    "turn_timeout": "{agent} took too long to answer. You can try again.",
    "connection_lost": "{agent} broke off its answer. You can try again.",
    "bad_answer": "{agent} gave an answer that we could not read. You can try again.",
    "answer_too_large": "{agent} said more than fits here. You can try again.",
    "bad_status": "{agent} ran into a problem and could not finish. You can try again.",
    "headers_too_large": "{agent} gave an answer that we could not read. You can try again.",
    "redirect": "{agent} gave an answer that we could not read. You can try again.",
    "encoded_answer": "{agent} gave an answer that we could not read. You can try again.",
    "reported_error": "{agent} ran into a problem and could not finish. You can try again.",
    "empty_answer": "{agent} had nothing to say. You can try again, or ask in other words.",
    "gone": "We lost the connection to {agent}. What was shown stays. Please try again.",
    "sandbox_gone": "We lost the connection to {agent}. What was shown stays. Please try again.",
    "unattended": "We lost the connection to {agent}. What was shown stays. Please try again.",
    "host_lost": "We lost the machine that {agent} was running on. What was shown stays. Please try again.",
    "door_refused": "We lost the connection to {agent}. What was shown stays. Please try again.",
    "lease_lost": "We lost the connection to {agent}. What was shown stays. Please try again.",
    "start_lost": "We could not start {agent} just now. Please try again.",
    "image_missing": "We could not start {agent} just now. Please try again later.",
    "image_damaged": "We could not start {agent} just now. Please try again later.",
    "no_driver": "We can't start any agents just now. Please try again later.",
    "engine_error": "We could not start {agent} just now. Please try again.",
    "no_capacity": "The store is busy: {agent} could not be started in time. Please try again soon.",
    "internal_error": "Something on our side broke. Nothing was charged. Please try again.",
}
# What this room adds to the sandbox's codes, for developers.
_OWN: Final[dict[str, Explained]] = {
    "empty_answer": Explained(
        Fault.AGENT, "It said nothing and showed nothing.", "Answer with text, or recommend something."
    ),
    "lease_lost": Explained(
        Fault.PLATFORM,
        "The process that ran the turn ended.",
        "Nothing to do: it is ours to repair and not held against you.",
    ),
    "internal_error": Explained(
        Fault.PLATFORM,
        "Something on the platform's side broke.",
        "Nothing to do: it is ours to repair and not held against you.",
    ),
}
DEVELOPER: Final[dict[str, Explained]] = {**EXPLAINED, **_OWN}


@dataclass(frozen=True, slots=True)
class Failure:
    """Whose fault it was and a typed code; beside them what its developer is shown, a shopper's words
    included until they are taken out (`agent_logs`).
    """

    fault: Fault
    code: str
    detail: str = ""
    log_tail: str = ""
    strain: dict[str, Any] = field(default_factory=dict)

    def words(self, agent: str) -> str:
        """What the shopper reads; `agent` is the agent's name."""
        return failure_words(self.fault, self.code, agent)


LOST = Failure(Fault.PLATFORM, "lease_lost")
INTERNAL = Failure(Fault.PLATFORM, "internal_error")


def failure_words(fault: str, code: str, agent: str) -> str:
    """A failure as the shopper reads it."""
    other = SHOPPER["bad_status" if fault == Fault.AGENT else "internal_error"]
    return SHOPPER.get(code, other).format(agent=agent)


def explain_failure(code: str) -> Explained:
    """A failure as the agent's developer reads it."""
    return DEVELOPER.get(code) or explain(code)


def failure_of(error: Exception) -> Failure:
    """Whose fault an error in a turn was: what is not known to be the agent's is the platform's."""
    if isinstance(error, SandboxFailure):
        return Failure(Fault(error.fault), error.code, error.message, error.log_tail, error.strain.as_json())
    if isinstance(error, NoCapacity):
        return Failure(Fault.PLATFORM, error.code)
    return INTERNAL
