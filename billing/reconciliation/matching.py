"""Which journals a processor's transaction must have, and the other way round. Pure.

Both sides have one key: our own reference where the object bears one of billing's, else the payment or the object. What
has a key in common is compared as one: a payment with its fee, a dispute with its end, a payout with its way back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

# The kinds of journal that move `processor_clearing` or `processor_fees`; reversals of them do too.
KINDS: Final = (
    *("sale", "processor_fee", "refund", "top_up", "invoice_paid", "invoice_repaid"),
    *("dispute", "dispute_won", "payout", "bank_payout"),
)
REVERSALS: Final = tuple(f"{kind}_reversal" for kind in KINDS)
_OURS: Final = ("topup:", "invoice:", "repayment:", "refund:", "payout:")


def key_of_movement(*, object: str, source_id: str, payment_id: str, reference: str, id: str) -> str:
    """What a balance transaction is compared under."""
    if object == "dispute":
        return f"dispute:{source_id}"
    if object == "payout":
        return f"bank_payout:{source_id}"
    if reference.startswith(_OURS):
        return reference
    if object == "charge" and payment_id:
        return f"payment:{payment_id}"
    return f"processor:{source_id or id}"


def key_of_journal(*, kind: str, idempotency_key: str, payment_ref: str) -> str:
    """What a journal is compared under; a fee's by what the fee was of (`fee:<payment, charge>`), to be looked up.

    `payment_ref` is the payment that a sale is linked with.
    """
    _, _, rest = idempotency_key.partition(":")
    if kind == "sale":
        return f"payment:{payment_ref}" if payment_ref else idempotency_key
    if kind == "processor_fee":
        return rest if rest.startswith("dispute:") else f"fee:{rest}"
    if kind == "top_up":
        return f"topup:{rest}"
    if kind == "invoice_paid":
        return f"invoice:{rest}"
    if kind == "invoice_repaid":
        return f"repayment:{rest}"
    if kind == "refund":
        return rest if rest.startswith("refund:") else idempotency_key
    if kind in ("dispute", "dispute_won"):
        return f"dispute:{rest}"
    return idempotency_key


def journals_of(key: str, *, payments: Iterable[str], sources: Iterable[str]) -> list[str]:
    """The idempotency keys of the journals that a key can have, sales apart, which are found by their links.

    `payments` and `sources` are those of the key's movements: the fee of a payment is booked under either.
    """
    prefix, _, rest = key.partition(":")
    fees = [f"processor_fee:{ref}" for ref in (*payments, *sources)]
    if prefix == "topup":
        return [f"top_up:{rest}", *fees]
    if prefix == "invoice":
        return [f"invoice_paid:{rest}", *fees]
    if prefix == "repayment":
        return [f"invoice_repaid:{rest}", *fees]
    if prefix == "payment":
        return [f"processor_fee:{rest}", *fees]
    if prefix == "refund":
        return [f"refund:{key}"]
    if prefix == "dispute":
        return [key, f"dispute_won:{rest}", f"processor_fee:{key}"]
    if prefix == "bank_payout":
        return [key, f"processor_fee:{rest}"]
    if prefix == "fee":
        return [f"processor_fee:{rest}"]
    return [key]
