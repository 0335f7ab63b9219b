"""What statements say: accounts and movements in words, each line in a sentence."""

from __future__ import annotations

from dataclasses import dataclass

from agentstore.kit.money import Money
from billing.models import Account, Statement, StatementBalance, StatementLine

_Kind = Account.Kind

SECTIONS = {
    _Kind.MERCHANT_RECEIVABLE.value: "Charges",
    "merchant_prepaid": "Prepaid balance",
    _Kind.MERCHANT_WALLET.value: "Sales",
    _Kind.DEVELOPER_PENDING.value: "Pending",
    _Kind.DEVELOPER_AVAILABLE.value: "Available",
    _Kind.DEVELOPER_RESERVE.value: "In reserve",
}
WORDS = {
    "ppcv": "Conversations",
    "ppcv_reversal": "Conversations taken back",
    "agent_tax": "Agent tax",
    "tax_reversal": "Agent tax returned",
    "sale": "Orders",
    "refund": "Refunds",
    "dispute_lost": "Disputed payments",
    "invoice_tax": "Tax on an invoice",
    "invoice_paid": "Invoice paid",
    "invoice_written_off": "Invoice written off",
    "invoice_written_off_reversal": "Paid after it was written off",
    "invoice_disputed": "Payments of invoices that a bank took back",
    "invoice_dispute_won": "Payments of invoices that a bank gave back",
    "invoice_repaid": "Invoices paid again",
    "credit_note": "Credit notes",
    "credit_note_tax": "Tax on credit notes",
    "top_up": "Top-ups",
    "top_up_disputed": "Top-ups that a bank took back",
    "top_up_dispute_won": "Top-ups that a bank gave back",
    "earning_release": "Released",
    "reserve_release": "Reserve released",
    "clawback": "Taken back",
    "payout": "Paid out",
    "payout_reversal": "Payout returned",
    "bank_payout": "Sent to the operator's bank",
    "bank_payout_reversal": "Refused by the operator's bank",
}


@dataclass(frozen=True, slots=True)
class Section:
    """One account of a statement: how it stood, its lines, and how it stands."""

    title: str
    balance: StatementBalance
    lines: list[StatementLine]

    @property
    def opening(self) -> Money:
        """At the month's beginning."""
        return Money(self.balance.opening_micros, self.balance.statement.currency)

    @property
    def closing(self) -> Money:
        """At its end."""
        return Money(self.balance.closing_micros, self.balance.statement.currency)


def sections_of(statement: Statement) -> list[Section]:
    """A statement's accounts in the order of reading."""
    lines = list(statement.lines.select_related("price_version"))
    balances = {balance.account_kind: balance for balance in statement.balances.select_related("statement")}
    return [
        Section(title, balances[kind], [line for line in lines if line.account_kind == kind])
        for kind, title in SECTIONS.items()
        if kind in balances
    ]


def words_of(kind: str) -> str:
    """A kind of journal for people."""
    return WORDS.get(kind, kind.replace("_", " ").capitalize())


def describe(line: StatementLine) -> str:
    """A line in words: what, where it was late from, and what one of it costs where all cost the same."""
    text = words_of(line.kind)
    if line.category:
        text += f", {line.category}"
    if line.late_from:
        text += f" (booked late, from {line.late_from})"
    return text


def unit_price(line: StatementLine) -> Money | None:
    """What one of a line's movements is, where the exact sum divides evenly; None otherwise."""
    if line.kind != "ppcv" or line.exact_micros % line.quantity:
        return None
    return Money(line.exact_micros // line.quantity, line.statement.currency)


def shown(line: StatementLine) -> Money:
    """A line's amount: charges in whole minor units, as they are invoiced; everything else exact."""
    currency = line.statement.currency
    return (
        Money.from_minor(line.amount_minor, currency) if line.charge else Money(line.exact_micros, currency)
    )
