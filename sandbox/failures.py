"""Whose fault a failure was, decided before anybody is shown it, and what each code means to a developer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.db import models

from agentstore.kit.errors import StoreError
from sandbox.strain import Strain


class Fault(models.TextChoices):
    """The agent's developer has to act, or the store's operator has."""

    AGENT = "agent", "The agent"
    PLATFORM = "platform", "The platform"


@dataclass(frozen=True, slots=True)
class Explained:
    """One code in words: whose fault it is, what happened, what to do about it."""

    fault: Fault
    words: str
    hint: str


def _agents(words: str, hint: str) -> Explained:
    return Explained(Fault.AGENT, words, hint)


def _ours(words: str) -> Explained:
    return Explained(Fault.PLATFORM, words, "Nothing to do: it is ours to repair and not held against you.")


# Every code that this room gives. docs/guides/developers.md lists them.
EXPLAINED: Final[dict[str, Explained]] = {
    "exited": _agents("Its program ended.", "The last lines of its log say why; it has to keep serving."),
    "out_of_memory": _agents(
        "It used more memory than its manifest asks for and was ended.",
        "Raise memory_mb under [resources], load less, or write less to /tmp, which counts as memory.",
    ),
    "start_timeout": _agents(
        "It was not ready within start_seconds.",
        "Listen on 0.0.0.0:8080 and answer the readiness request; load what is slow later, or raise start_seconds.",
    ),
    "not_healthy": _agents(
        "It started but never said that it is healthy.", "Answer GET /ping with 200 once it can take a turn."
    ),
    "not_listening": _agents(
        "Nothing in its sandbox accepts connections any more.",
        "Its program ended or closed its port between two messages; keep it serving.",
    ),
    "unsafe_socket": _agents(
        "It put something else in its socket's place.", "Leave /run/agentstore alone; listen on port 8080."
    ),
    "turn_timeout": _agents(
        "It did not finish its answer within turn_seconds.",
        "Answer sooner, or raise turn_seconds; where it was short of processor time, raise cpu.",
    ),
    "connection_lost": _agents(
        "It broke its answer off.", "Answer every request to its end; a program that crashes shows it in its log."
    ),
    "bad_answer": _agents(
        "Its answer is not what its protocol wants.", "See the container contract for the shape of an answer."
    ),
    "answer_too_large": _agents(
        "Its answer is larger than its manifest asks for, or longer than can be shown.",
        "Say less, or raise answer_kb; at most 32,000 characters of text are shown.",
    ),
    "bad_status": _agents("It answered with an HTTP error.", "Answer with 200; its log says what went wrong inside."),
    "headers_too_large": _agents(
        "The headers of its answer are too large.", "Send at most 16 KiB of headers; most answers need two lines."
    ),
    "redirect": _agents("It answered with a redirect, which is not followed.", "Answer at the address itself."),
    "encoded_answer": _agents(
        "It compressed its answer, which was not asked for.", "Switch compression off in its web framework."
    ),
    "reported_error": _agents("It reported an error of its own.", "Its log says which."),
    "gone": _ours("Its sandbox was removed while it was needed."),
    "sandbox_gone": _ours("Its sandbox could not be reached."),
    "unattended": _ours("Nobody looked after its sandbox for a while, so that it ended by itself."),
    "host_lost": _ours("The host of its sandbox went away."),
    "door_refused": _ours("The host of its sandbox refused the connection."),
    "start_lost": _ours("Its start was never finished."),
    "image_missing": _ours("Its image was not there any more."),
    "image_damaged": _ours("Its image was damaged where it is stored."),
    "no_driver": _ours("Nothing here could run it with its isolation proven."),
    "engine_error": _ours("The container engine answered with an error."),
    "no_capacity": _ours("There was no place for it in time."),
}  # fmt: skip
_UNKNOWN = _ours("Something on the platform's side broke.")


def explain(code: str) -> Explained:
    """A code in words; one that is not known here is taken for the platform's."""
    return EXPLAINED.get(code, _UNKNOWN)


class SandboxFailure(StoreError):
    """Something about a sandbox failed; `fault` says whose it was. `log_tail` and `strain` are for the
    developer alone.
    """

    code = "sandbox_failed"
    status = 502

    def __init__(
        self,
        message: str,
        *,
        fault: Fault,
        code: str | None = None,
        hint: str = "",
        log_tail: str = "",
        strain: Strain | None = None,
    ) -> None:
        super().__init__(message, hint=hint or (explain(code).hint if code else ""), code=code)
        self.fault = fault
        self.log_tail = log_tail
        self.strain = strain or Strain()


class StartFailed(SandboxFailure):
    """The sandbox did not become ready: it ended, was killed, or was too slow.

    Codes: `exited`, `out_of_memory`, `start_timeout`, `not_healthy` (the agent's fault); `no_driver`,
    `engine_error`, `image_missing`, `start_lost` (the platform's).
    """

    code = "start_failed"


class AgentFailure(SandboxFailure):
    """The agent did not answer a request as its protocol wants.

    Codes: `turn_timeout`, `connection_lost`, `bad_answer`, `answer_too_large`, `bad_status`,
    `headers_too_large`, `redirect`, `encoded_answer`, `reported_error`, `not_listening`, `unsafe_socket` (the
    agent's fault); `sandbox_gone`, `host_lost`, `door_refused` (the
    platform's).
    """

    code = "agent_failed"
