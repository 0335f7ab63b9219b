"""What a payment processor can say no with, in words for people."""

from __future__ import annotations

from agentstore.kit.errors import Conflict, Invalid, Refused, Unavailable


class Declined(Refused):
    """The card was declined; `decline_code` says why as the bank put it, the message says it kindly."""

    code = "payment_declined"
    status = 402

    def __init__(self, message: str, *, decline_code: str, hint: str = "") -> None:
        super().__init__(message, hint=hint, decline_code=decline_code)
        self.decline_code = decline_code


class ProcessorUnavailable(Unavailable):
    """The processor didn't answer in time, or is overloaded. Nothing is known to have happened; ask again."""

    code = "processor_unavailable"


class ProcessorRefused(Conflict):
    """The processor won't do that to this object now; `processor_code` is its own code."""

    code = "processor_refused"


class InvalidSignature(Invalid):
    """The event was not signed by the processor, or too long ago."""

    code = "invalid_signature"
