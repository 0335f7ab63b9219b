"""Payouts: what is available is taken from the books, sent to the owner's account, and on to its bank.

Each step is once, under a key made of the payout's id that is stored before the call; whoever is killed in between, the
next run finds what was done and goes on. docs/algorithms/payouts.md follows one.
"""

from __future__ import annotations

import uuid

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F

from agentstore.kit.clock import now
from agentstore.kit.errors import Conflict, Invalid, StoreError
from agentstore.kit.ids import id_in, new_id
from agentstore.kit.locks import only_one
from agentstore.kit.money import Money
from billing import bank_payouts, webhooks
from billing.accounts import processor_clearing
from billing.earnings import claw_back, developer_available, lock_owner
from billing.ledger import balance, credit, debit, post, reverse
from billing.models import Account, Payout, PayoutAccount, PayoutChange, PayoutHold, WebhookEvent
from billing.notices import tell
from billing.periods import Month
from billing.processor import transfers
from billing.processor.errors import ProcessorRefused

logger = structlog.get_logger(__name__)

Status = Payout.Status
REFERENCE = "payout:"
# Shoppers' payments have not settled yet: tried again. Any other refusal is of the account, and trying changes nothing.
_SHORT = "balance_insufficient"


class NotCancelled(Conflict):
    """The payout is over, or its money has left the store's balance, or is leaving it now."""

    code = "payout_not_cancelled"


def smallest_payout(currency: str) -> Money:
    """Less than this is not paid out and rolls over to the next month."""
    return Money.from_minor(settings.PAYOUT_MINIMUM_MINOR, currency)


def prepare_due() -> int:
    """Prepare a payout for everybody who can have one this month; how many. Must own its transactions."""
    owners = Account.objects.filter(kind=Account.Kind.DEVELOPER_AVAILABLE).order_by("owner_ref", "currency")
    made = [
        prepare_payout(owner_ref=owner, currency=currency)
        for owner, currency in owners.values_list("owner_ref", "currency")
    ]
    return sum(payout is not None for payout in made)


def why_not(*, owner_ref: str, currency: str) -> str:
    """Why nothing can be paid out to an owner now, in a sentence; empty when it can."""
    hold = PayoutHold.objects.filter(owner_ref=owner_ref, lifted_at=None).first()
    if hold is not None:
        return f"Payouts are on hold: {hold.reason}"
    account = PayoutAccount.objects.filter(owner_ref=owner_ref).first()
    if account is None or not account.ready:
        return "The payment processor needs to know who you are and where your bank account is."
    if -balance(developer_available(owner_ref, currency)).micros < smallest_payout(currency).micros:
        return f"Less than {smallest_payout(currency)} rolls over to the next month."
    return ""


@transaction.atomic
def prepare_payout(*, owner_ref: str, currency: str) -> Payout | None:
    """Take what is available in whole minor units from the books for this month's payout.

    None when there is one already, while there is a hold, no account, or less than the minimum. What is owed is
    taken back first.
    """
    lock_owner(owner_ref)
    claw_back(owner_ref=owner_ref, currency=currency)
    month = str(Month.of(now()))
    earlier = Payout.objects.filter(owner_ref=owner_ref, currency=currency, month=month)
    if earlier.exclude(status=Status.RETURNED).exists() or why_not(owner_ref=owner_ref, currency=currency):
        return None
    unit = Money.from_minor(1, currency).micros
    minor = -balance(developer_available(owner_ref, currency)).micros // unit
    amount, payout_id = Money.from_minor(minor, currency), new_id()
    journal = post(
        kind="payout",
        idempotency_key=f"{REFERENCE}{payout_id}",
        occurred_at=now(),
        entries=[
            debit(developer_available(owner_ref, currency), amount.micros),
            credit(processor_clearing(currency), amount.micros),
        ],
    )
    payout = Payout.objects.create(
        pk=payout_id,
        owner_ref=owner_ref,
        currency=currency,
        month=month,
        amount_minor=minor,
        processor_account=PayoutAccount.objects.get(owner_ref=owner_ref).processor_ref,
        journal=journal,
    )
    _record(payout, by="payouts", reason=f"available in {month}")
    return payout


def _record(payout: Payout, *, by: str, reason: str) -> None:
    PayoutChange.objects.create(payout=payout, status=payout.status, by=by, reason=reason[:200])


def send_prepared() -> int:
    """Send what is prepared, and bring back what failed; how many steps ended. What fails is tried again."""
    done = 0
    for status, step in ((Status.PREPARED, send_payout), (Status.FAILED, bring_back)):
        for payout_id in Payout.objects.filter(status=status).order_by("pk").values_list("pk", flat=True):
            try:
                step(payout_id=payout_id)
                done += 1
            except StoreError as refused:
                logger.warning("payout not moved", payout=str(payout_id), why=refused.code)
                error = f"{refused.code}: {refused.message}"[:2000]
                Payout.objects.filter(pk=payout_id).update(last_error=error)
    return done


def send_payout(*, payout_id: uuid.UUID) -> Payout:
    """From the store to the owner's account, from there to its bank. Twice is once; outside of a transaction.

    What the processor refuses for another reason than that the store's balance does not cover it yet, fails, and is
    brought back. Raises ProcessorUnavailable, ProcessorRefused (`balance_insufficient`).
    """
    with only_one(payout_id) as mine:
        payout = Payout.objects.get(pk=payout_id)
        held = PayoutHold.objects.filter(owner_ref=payout.owner_ref, lifted_at=None)
        if not mine or payout.status != Status.PREPARED or held.exists():
            return payout
        Payout.objects.filter(pk=payout_id).update(attempts=F("attempts") + 1)
        try:
            return _send(payout)
        except ProcessorRefused as refused:
            if refused.details.get("processor_code") == _SHORT:
                raise
            return _give_up(payout_id, refused.message)


def _send(payout: Payout) -> Payout:
    reference = f"{REFERENCE}{payout.pk}"
    sent = transfers.send_transfer(
        reference=reference, account_id=payout.processor_account, amount=payout.amount
    )
    Payout.objects.filter(pk=payout.pk).update(transfer_ref=sent.id)
    made = transfers.create_payout(
        reference=reference, account_id=payout.processor_account, amount=payout.amount
    )
    with transaction.atomic():
        payout = Payout.objects.select_for_update().get(pk=payout.pk)
        if payout.status == Status.PREPARED:
            payout.status, payout.processor_ref, payout.arrives_at = Status.SENT, made.id, made.arrives_at
            payout.last_error = ""
            payout.save(update_fields=["status", "processor_ref", "arrives_at", "last_error"])
            _record(payout, by="payouts", reason=f"processor: {made.id}")
    return payout


@transaction.atomic
def _give_up(payout_id: uuid.UUID, why: str) -> Payout:
    payout = Payout.objects.select_for_update().get(pk=payout_id)
    if payout.status == Status.PREPARED:
        _fail(
            payout,
            by="payouts",
            failure=why,
            subject="A payout was refused",
            text=f"{payout.amount} could not be sent and is available again. The payment processor says: {why}"
            " See there what it asks of your account; then it is sent again.",
        )
    return payout


def _fail(payout: Payout, *, by: str, failure: str, subject: str, text: str) -> None:
    """Nothing more is sent until the processor says anew that the account is ready."""
    payout.status, payout.failure = Status.FAILED, failure[:200]
    payout.save(update_fields=["status", "processor_ref", "failure"])
    _record(payout, by=by, reason=failure)
    PayoutAccount.objects.filter(owner_ref=payout.owner_ref).update(ready=False)
    tell(key=f"payout_failed:{payout.pk}", owner_ref=payout.owner_ref, subject=subject, text=text)


def cancel_payout(*, payout_id: uuid.UUID, by: str, reason: str) -> Payout:
    """Make what was not sent available again, and hold the owner's payouts, or the next would be prepared at once.

    Asks the processor whether the money has left: call it outside of a transaction. Raises Invalid without a reason,
    NotCancelled, ProcessorUnavailable.
    """
    if not reason.strip():
        raise Invalid("Say why, for the studio to read.")
    with only_one(payout_id) as mine:
        payout = Payout.objects.get(pk=payout_id)
        if not mine:
            raise NotCancelled("This payout is being sent now.", hint="Look again in a minute.")
        if payout.status != Status.PREPARED:
            raise NotCancelled(f"This payout is {payout.get_status_display().lower()}.")
        if transfers.find_transfer(reference=f"{REFERENCE}{payout.pk}") is not None:
            raise NotCancelled("Its money is on the studio's account already.", hint="It goes on from there.")
        with transaction.atomic():
            place_hold(owner_ref=payout.owner_ref, reason=reason.strip(), by=by)
            payout = Payout.objects.select_for_update().select_related("journal").get(pk=payout_id)
            payout.failure = reason.strip()[:200]
            _return(payout, by=by, reason=payout.failure)
    return payout


def _return(payout: Payout, *, by: str, reason: str) -> None:
    reverse(journal=payout.journal, occurred_at=now(), memo=payout.failure)
    payout.status = Status.RETURNED
    payout.save(update_fields=["status", "failure"])
    _record(payout, by=by, reason=reason)


def settle_payout_event(*, event_id: int) -> None:
    """What an event about a payout brings about, once: it arrived, or the bank refused it; or it is the store's own."""
    row = WebhookEvent.objects.get(pk=event_id)
    told = None
    account = str(row.payload.get("account") or "")
    if not account:
        bank_payouts.settle_event(event_id=event_id)
        return
    if row.handled_at is None and row.type in ("payout.paid", "payout.failed"):
        processor_ref = str(row.payload["data"]["object"]["id"])
        told = transfers.retrieve_payout(payout_id=processor_ref, account_id=account)
    with webhooks.handle(event_id) as event:
        payout_id = None if told is None else id_in(told.reference, REFERENCE)
        if event is None or told is None or payout_id is None:
            return
        # An account's owner may write any reference on payouts of its own.
        ours = Payout.objects.filter(pk=payout_id, processor_account=account, processor_ref__in=["", told.id])
        if ours.exists():
            settle_payout(payout_id=payout_id, told=told)
        else:
            logger.error("a payout that this store did not make", payout=told.id)


@transaction.atomic
def settle_payout(*, payout_id: uuid.UUID, told: transfers.ProcessorPayout) -> Payout:
    """Note what the bank said; twice is once. A payout may fail after it was paid: that is believed too.

    After a failure nothing more is sent until the owner has named another bank account.
    """
    payout = Payout.objects.select_for_update().get(pk=payout_id)
    payout.processor_ref = payout.processor_ref or told.id
    if told.status == "paid" and payout.status in (Status.PREPARED, Status.SENT):
        payout.status = Status.PAID
        payout.save(update_fields=["status", "processor_ref"])
        _record(payout, by="processor", reason="arrived")
    elif told.status in ("failed", "canceled") and payout.status in (
        Status.PREPARED,
        Status.SENT,
        Status.PAID,
    ):
        _fail(
            payout,
            by="processor",
            failure=told.failure,
            subject="Your bank refused a payout",
            text=f"{payout.amount} came back: {told.failure} Name another bank account; then it is sent again.",
        )
    return payout


def bring_back(*, payout_id: uuid.UUID) -> Payout:
    """Take a failed payout's money back from the owner's account; then it is available again. Twice is once."""
    payout = Payout.objects.get(pk=payout_id)
    if payout.status != Status.FAILED:
        return payout
    reference = f"{REFERENCE}{payout.pk}"
    sent = None if payout.transfer_ref else transfers.find_transfer(reference=reference)
    transfer_ref = payout.transfer_ref or (sent.id if sent else "")
    if transfer_ref:
        transfers.reverse_transfer(transfer_id=transfer_ref, reference=reference)
    with transaction.atomic():
        payout = Payout.objects.select_for_update().select_related("journal").get(pk=payout_id)
        if payout.status == Status.FAILED:
            _return(payout, by="payouts", reason="available again")
    return payout


@transaction.atomic
def place_hold(*, owner_ref: str, reason: str, by: str) -> PayoutHold:
    """Stop payouts to an owner, those prepared included; twice is once."""
    lock_owner(owner_ref)
    found = PayoutHold.objects.filter(owner_ref=owner_ref, lifted_at=None).first()
    return found or PayoutHold.objects.create(owner_ref=owner_ref, reason=reason[:200], placed_by=by)


@transaction.atomic
def lift_hold(*, owner_ref: str, by: str) -> None:
    """Let payouts go on. What was prepared is sent, what has gathered since is in the next."""
    PayoutHold.objects.filter(owner_ref=owner_ref, lifted_at=None).update(lifted_at=now(), lifted_by=by)
