"""Whose fault a failure was, decided before anybody is shown it."""

from __future__ import annotations

from django.db import models

from agentstore.kit.errors import StoreError


class Fault(models.TextChoices):
    """The agent's developer has to act, or the store's operator has."""

    AGENT = "agent", "The agent"
    PLATFORM = "platform", "The platform"


class SandboxFailure(StoreError):
    """Something about a sandbox failed; `fault` says whose it was, `log_tail` is for the developer alone."""

    code = "sandbox_failed"
    status = 502

    def __init__(
        self, message: str, *, fault: Fault, code: str | None = None, hint: str = "", log_tail: str = ""
    ) -> None:
        super().__init__(message, hint=hint, code=code)
        self.fault = fault
        self.log_tail = log_tail


class StartFailed(SandboxFailure):
    """The sandbox did not become ready: it ended, was killed, or was too slow.

    Codes: `exited`, `out_of_memory`, `start_timeout`, `not_healthy` (the agent's fault); `no_driver`,
    `engine_error`, `start_lost` (the platform's).
    """

    code = "start_failed"


class AgentFailure(SandboxFailure):
    """The agent did not answer a request as its protocol wants.

    Codes: `turn_timeout`, `connection_lost`, `bad_answer`, `answer_too_large`, `bad_status`,
    `headers_too_large`, `redirect`, `encoded_answer`, `reported_error` (the agent's fault); `sandbox_gone`,
    `unsafe_socket`; `host_lost`, `door_refused` (the platform's).
    """

    code = "agent_failed"
