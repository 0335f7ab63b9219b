"""Background work on money. Each calls one service and may run twice."""

from __future__ import annotations

from datetime import date

from celery import shared_task

from billing import (
    closing,
    disputes,
    dunning,
    earnings,
    fraud,
    invoices,
    ledger,
    notices,
    overpaid,
    payout_accounts,
    payouts,
    posting,
    price_notices,
    pricing,
    repayments,
    statements,
    topups,
    webhooks,
)
from billing.reconciliation import runs


@shared_task
def post_due_events() -> int:
    """Rate and post usage events whose quarantine is over."""
    return posting.post_due_events()


@shared_task
def dispatch_webhook_events() -> int:
    """Hand out the processor's events that nobody has handled yet."""
    return webhooks.dispatch_unhandled()


@shared_task
def roll_up_balances() -> int:
    """Move the balance roll-up forward."""
    return ledger.roll_up()


@shared_task
def activate_due_prices() -> int:
    """Note that announced prices came into force."""
    return pricing.activate_due_prices()


@shared_task
def close_due_days() -> int:
    """Close the days that are over and settled."""
    return len(closing.close_due_days())


@shared_task
def close_due_months() -> int:
    """Close months whose grace is over and make their statements."""
    return statements.close_due_months()


@shared_task
def issue_prepared_invoices() -> int:
    """Issue invoices, credit notes and credits that are not at the processor yet."""
    return invoices.issue_prepared() + disputes.issue_credit_notes() + overpaid.return_overpaid()


@shared_task
def settle_invoice_event(event_id: int) -> None:
    """Book what the processor says of an invoice."""
    invoices.settle_invoice_event(event_id=event_id)


@shared_task
def tell_of_prices() -> int:
    """Write the notices of prices that were announced or withdrawn."""
    return price_notices.tell_of_prices()


@shared_task
def send_notices() -> int:
    """Mail the notices that wait."""
    return notices.send_due_notices()


@shared_task
def forget_tallies() -> int:
    """Remove the counts that no fraud rule reads any more."""
    return fraud.forget_tallies()


@shared_task
def settle_top_up_event(event_id: int) -> None:
    """Do what a processor's event about a top-up asks for."""
    topups.settle_event(event_id=event_id)


@shared_task
def settle_repayment_event(event_id: int) -> None:
    """Book what the processor says of a payment of what was owed again."""
    repayments.settle_repayment_event(event_id=event_id)


@shared_task
def remind_overdue_invoices() -> int:
    """Take the reminders' steps that are due."""
    return dunning.remind_overdue()


@shared_task
def settle_earnings() -> int:
    """Release what is mature, take back what is owed, end reserves."""
    return earnings.release_due()


@shared_task
def prepare_payouts() -> int:
    """Prepare this month's payouts."""
    return payouts.prepare_due()


@shared_task
def send_prepared_payouts() -> int:
    """Send what is prepared, bring back what failed."""
    return payouts.send_prepared()


@shared_task
def settle_payout_event(event_id: int) -> None:
    """Note what a bank said of a payout."""
    payouts.settle_payout_event(event_id=event_id)


@shared_task
def settle_account_event(event_id: int) -> None:
    """Note how a connected account stands."""
    payout_accounts.settle_account_event(event_id=event_id)


@shared_task
def reconcile_due_days() -> int:
    """Reconcile the days that are over, and those that are to be looked at again."""
    return runs.reconcile_due()


@shared_task
def reconcile_day(day: str, by: str) -> None:
    """Reconcile one day that somebody asked for."""
    runs.reconcile_day(day=date.fromisoformat(day), by=by)
