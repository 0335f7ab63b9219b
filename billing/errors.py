"""What money refuses, each with a stable code."""

from __future__ import annotations

from agentstore.kit.errors import Conflict, Invalid, NotFound, Refused


class Unbalanced(Invalid):
    """A journal's entries don't sum to zero in every currency."""

    code = "unbalanced"


class IdempotencyMismatch(Conflict):
    """The idempotency key was used before, for something else."""

    code = "idempotency_mismatch"


class NoticeTooShort(Refused):
    """A rise of fees needs more notice than this gives."""

    code = "notice_too_short"


class PricesNotDraft(Conflict):
    """These prices are announced or in force and can't be changed."""

    code = "prices_not_draft"


class PricesNotFixed(Conflict):
    """These prices are a draft or withdrawn: nothing may be billed by them."""

    code = "prices_not_fixed"


class NoPricesInForce(NotFound):
    """No price version is in force."""

    code = "no_prices_in_force"


class RefundExceedsSale(Refused):
    """More would be refunded than was sold."""

    code = "refund_exceeds_sale"


class ChainBroken(Conflict):
    """A closed day of the books is not what it was when it was closed."""

    code = "chain_broken"
