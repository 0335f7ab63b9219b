"""Every address that the stand-in answers, and who answers it. Anything else is a 404, loudly."""

from __future__ import annotations

from billing.stripe_standin import (
    accounts,
    balance,
    charges,
    checkout,
    credit_notes,
    customers,
    disputes,
    events,
    invoice_lines,
    invoice_payments,
    invoices,
    payment_intents,
    payouts,
    refunds,
    transfers,
)
from billing.stripe_standin.wire import Answer, Call, Handler


def move_clock(call: Call) -> Answer:
    """POST /_standin/clock: `advance=<seconds>`; what is due by then happens. Answers with the new time."""
    call.now = call.store.advance(call.integer("advance", call.params.get("advance", "0")))
    payouts.settle_due(call)
    return 200, {"now": call.now}


def reset(call: Call) -> Answer:
    """POST /_standin/reset: an account on which nothing has happened yet; the clock stays."""
    call.store.forget()
    return 200, {"now": call.now}


ROUTES: list[tuple[str, str, Handler]] = [
    ("POST", "/v1/payment_intents", payment_intents.create),
    ("GET", "/v1/payment_intents", payment_intents.list_intents),
    ("GET", "/v1/payment_intents/*", payment_intents.retrieve),
    ("POST", "/v1/payment_intents/*/confirm", payment_intents.confirm),
    ("POST", "/v1/payment_intents/*/cancel", payment_intents.cancel),
    ("POST", "/v1/refunds", refunds.create),
    ("GET", "/v1/refunds", refunds.list_refunds),
    ("GET", "/v1/refunds/*", refunds.retrieve),
    ("GET", "/v1/charges", charges.list_charges),
    ("GET", "/v1/charges/*", charges.retrieve),
    ("GET", "/v1/disputes", disputes.list_disputes),
    ("GET", "/v1/disputes/*", disputes.retrieve),
    ("POST", "/v1/disputes/*", disputes.update),
    ("POST", "/v1/disputes/*/close", disputes.close),
    ("GET", "/v1/balance", balance.read),
    ("GET", "/v1/balance_transactions", balance.list_transactions),
    ("GET", "/v1/balance_transactions/*", balance.retrieve),
    ("POST", "/v1/customers", customers.create),
    ("GET", "/v1/customers", customers.list_customers),
    ("GET", "/v1/customers/*", customers.retrieve),
    ("POST", "/v1/customers/*", customers.update),
    ("POST", "/v1/customers/*/balance_transactions", customers.change_balance),
    ("GET", "/v1/customers/*/balance_transactions", customers.list_balance),
    ("POST", "/v1/invoiceitems", invoice_lines.create),
    ("GET", "/v1/invoiceitems/*", invoice_lines.retrieve),
    ("POST", "/v1/invoices", invoices.create),
    ("GET", "/v1/invoices", invoices.list_invoices),
    ("GET", "/v1/invoices/*", invoices.retrieve),
    ("GET", "/v1/invoices/*/lines", invoices.list_lines),
    ("POST", "/v1/invoices/*/finalize", invoices.finalize),
    ("POST", "/v1/invoices/*/send", invoices.send),
    ("POST", "/v1/invoices/*/pay", invoice_payments.pay),
    ("POST", "/v1/invoices/*/void", invoices.void),
    ("POST", "/v1/invoices/*/mark_uncollectible", invoices.mark_uncollectible),
    ("GET", "/v1/invoice_payments", invoice_payments.list_payments),
    ("POST", "/v1/credit_notes", credit_notes.create),
    ("GET", "/v1/credit_notes", credit_notes.list_credit_notes),
    ("GET", "/v1/credit_notes/*", credit_notes.retrieve),
    ("POST", "/v1/checkout/sessions", checkout.create),
    ("GET", "/v1/checkout/sessions/*", checkout.retrieve),
    ("POST", "/v1/checkout/sessions/*/expire", checkout.expire),
    ("POST", "/v1/accounts", accounts.create),
    ("GET", "/v1/accounts", accounts.list_accounts),
    ("GET", "/v1/accounts/*", accounts.retrieve),
    ("POST", "/v1/account_links", accounts.create_link),
    ("POST", "/v1/transfers", transfers.create),
    ("GET", "/v1/transfers", transfers.list_transfers),
    ("GET", "/v1/transfers/*", transfers.retrieve),
    ("POST", "/v1/transfers/*/reversals", transfers.reverse),
    ("POST", "/v1/payouts", payouts.create),
    ("GET", "/v1/payouts", payouts.list_payouts),
    ("GET", "/v1/payouts/*", payouts.retrieve),
    ("GET", "/v1/events", events.list_events),
    ("GET", "/v1/events/*", events.retrieve),
    # What has no counterpart in Stripe's API: its pages, banks, the dashboard, the passing of time.
    ("POST", "/_standin/payment_intents/*/authenticate", payment_intents.authenticate),
    ("POST", "/_standin/accounts/*/onboard", accounts.onboard),
    ("GET", "/_standin/accounts/*/onboarding", accounts.onboarding_page),
    ("POST", "/_standin/accounts/*/bank", accounts.change_bank),
    ("POST", "/_standin/bank", payouts.change_own_bank),
    ("POST", "/_standin/accounts/*/reject", accounts.reject),
    ("GET", "/_standin/invoices/*/pay", invoice_payments.open_page),
    ("GET", "/_standin/checkout/*/pay", checkout.open_page),
    ("POST", "/_standin/events/*/resend", events.resend),
    ("POST", "/_standin/clock", move_clock),
    ("POST", "/_standin/reset", reset),
    ("GET", "/_standin/outbox", lambda call: (200, {"undelivered": call.store.undelivered()})),
]
