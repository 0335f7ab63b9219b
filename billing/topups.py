"""Merchants pay into their balance by card, through the processor's payments.

Each call to the processor is outside of a transaction, under a key that the top-up's row gave before. Either
the answer or the signed event books the payment; whichever comes first, it is booked once.
"""

from __future__ import annotations

import uuid
from typing import Final

from django.db import transaction

from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict, Invalid, NotFound, Unavailable
from agentstore.kit.ids import id_in
from agentstore.kit.money import Money
from billing import chargebacks, webhooks
from billing.journals import processor_fee_journal, top_up_journal
from billing.ledger import post_many
from billing.models import TopUp, TopUpChange
from billing.names import merchant_page
from billing.notices import tell
from billing.processor.disputes import ProcessorDispute
from billing.processor.errors import Declined
from billing.processor.payments import (
    Payment,
    confirm_payment,
    create_payment,
    require_paid,
    smallest_payment,
)
from billing.processor.test_methods import TEST_METHODS, takes_test_cards

REFERENCE: Final = "topup:"
LARGEST = 100_000_000_000  # $100 000, in micro-units of any currency

_Status = TopUp.Status


@transaction.atomic
def start_top_up(*, merchant_ref: str, amount: Money, by: str) -> TopUp:
    """A top-up to be paid. Raises Invalid for less than the processor takes, or more than a hundred thousand."""
    least = smallest_payment(amount.currency)
    if amount.micros < max(1, least.micros):
        raise Invalid(f"At least {least} can be paid in.")
    if amount.micros > LARGEST:
        raise Invalid(f"At most {Money(LARGEST, amount.currency)} can be paid in at once.")
    if amount.rounded != amount:
        raise Invalid("An amount has whole cents.")
    top_up = TopUp.objects.create(
        merchant_ref=merchant_ref, currency=amount.currency, amount_micros=amount.micros
    )
    _record(top_up, by=by, reason="")
    return top_up


def try_card(*, top_up_id: uuid.UUID, payment_method: str) -> TopUp:
    """Pay a top-up with a card. A decline is kept on it (`decline`), and another card may be tried.

    Raises Conflict when it is over, Unavailable outside of test mode, ProcessorUnavailable, ProcessorRefused.
    Speaks to the processor: call it outside of a transaction.
    """
    if not takes_test_cards() or payment_method not in TEST_METHODS:
        raise Unavailable(
            "This store cannot take cards yet.", hint="The operator has to connect a card form first."
        )
    top_up = TopUp.objects.get(pk=top_up_id)
    if top_up.status == _Status.PAID:
        return top_up
    if top_up.status != _Status.STARTED:
        raise Conflict("This top-up was given up.", hint="Start another one.")
    payment = create_payment(
        reference=f"{REFERENCE}{top_up_id}", amount=top_up.amount, metadata={"merchant": top_up.merchant_ref}
    )
    TopUp.objects.filter(pk=top_up_id, payment_ref="").update(payment_ref=payment.id)
    try:
        payment = confirm_payment(payment_id=payment.id, payment_method=payment_method)
    except Declined as declined:
        return _note_decline(top_up_id, declined.decline_code)
    if not payment.paid:
        return _note_decline(
            top_up_id, "authentication_required" if payment.status == "requires_action" else ""
        )
    return settle_top_up(top_up_id=top_up_id, payment=payment)


def _note_decline(top_up_id: uuid.UUID, code: str) -> TopUp:
    TopUp.objects.filter(pk=top_up_id, status=_Status.STARTED).update(decline=code[:60])
    return TopUp.objects.get(pk=top_up_id)


@transaction.atomic
def settle_top_up(*, top_up_id: uuid.UUID, payment: Payment) -> TopUp:
    """Book a paid top-up, once, and the processor's fee as soon as it is known.

    Raises Conflict when the processor took another amount, or took it for something else.
    """
    top_up = TopUp.objects.select_for_update().get(pk=top_up_id)
    require_paid(payment, reference=f"{REFERENCE}{top_up_id}", amount=top_up.amount)
    at = now()
    drafts = [
        top_up_journal(
            top_up_ref=str(top_up_id), merchant_ref=top_up.merchant_ref, amount=top_up.amount, at=at
        )
    ]
    if payment.fee is not None and payment.fee.micros:
        drafts.append(processor_fee_journal(payment_ref=payment.id, fee=payment.fee, occurred_at=at))
    journal_id = post_many(drafts)[0]
    if top_up.status == _Status.PAID:
        return top_up
    top_up.journal_id = journal_id
    top_up.status, top_up.decline, top_up.payment_ref = _Status.PAID, "", payment.id
    top_up.save(update_fields=["journal", "status", "decline", "payment_ref"])
    _record(top_up, by="processor", reason=payment.id)
    return top_up


def settle_event(*, event_id: int) -> None:
    """What a processor's event about a top-up brings about, once. Asks the processor for the payment of now."""
    payment = webhooks.paid_now(event_id)
    with webhooks.handle(event_id) as event:
        if event is None:
            return
        top_up_id = id_in(event.reference, REFERENCE)
        if top_up_id is None or not TopUp.objects.filter(pk=top_up_id).exists():
            return
        if payment is not None:
            settle_top_up(top_up_id=top_up_id, payment=payment)
        elif event.type == "payment_intent.canceled":
            give_up_top_up(top_up_id=top_up_id, by="processor", reason="the payment was cancelled")


@transaction.atomic
def settle_dispute(*, dispute: ProcessorDispute, payment: Payment) -> None:
    """Book what a bank did with a top-up: taken back it leaves the balance at once, won it is there again.

    Twice is once, and the order of the events does not matter. Raises as `settle_top_up`.
    """
    top_up_id = id_in(payment.reference, REFERENCE)
    if top_up_id is None or not TopUp.objects.filter(pk=top_up_id).exists():
        return
    top_up = settle_top_up(top_up_id=top_up_id, payment=payment)
    merchant_ref, amount = top_up.merchant_ref, dispute.amount
    won = dispute.status == "won"
    if dispute.withdrawn.micros or won:
        chargebacks.post_withdrawal(dispute_ref=dispute.id, amount=amount, fee=dispute.fee)
        chargebacks.post_top_up_withdrawn(dispute_ref=dispute.id, merchant_ref=merchant_ref, amount=amount)
        tell(
            key=f"top_up_disputed:{dispute.id}",
            owner_ref=merchant_ref,
            subject="Your bank took a payment into your balance back",
            text=f"{amount} came off your balance for conversations.",
            path=merchant_page(merchant_ref),
        )
    if won:
        chargebacks.post_won(dispute_ref=dispute.id, amount=amount)
        chargebacks.post_top_up_given_back(dispute_ref=dispute.id, merchant_ref=merchant_ref, amount=amount)


@transaction.atomic
def give_up_top_up(*, top_up_id: uuid.UUID, by: str, reason: str) -> TopUp:
    """End a top-up that is not paid. One that is paid stays paid."""
    top_up = TopUp.objects.select_for_update().get(pk=top_up_id)
    if top_up.status == _Status.STARTED:
        top_up.status = _Status.FAILED
        top_up.save(update_fields=["status"])
        _record(top_up, by=by, reason=reason)
    return top_up


def top_up_of(*, merchant_ref: str, top_up_id: uuid.UUID) -> TopUp:
    """A merchant's own top-up. Raises NotFound for everybody else's, as for one that never was."""
    found = TopUp.objects.filter(pk=top_up_id, merchant_ref=merchant_ref).first()
    if found is None:
        raise NotFound("There is no such top-up.")
    return found


def _record(top_up: TopUp, *, by: str, reason: str) -> None:
    TopUpChange.objects.create(top_up=top_up, status=top_up.status, by=by, reason=reason[:200])
