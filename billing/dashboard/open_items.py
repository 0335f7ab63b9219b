"""What is open now: merchants' debts by age, held fees, payouts, disputes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Case, CharField, Count, Q, Sum, Value, When

from agentstore.kit.clock import now
from agentstore.kit.money import Money
from billing.balances import TrialLine
from billing.dashboard.spans import Span
from billing.models import Account, ChargeDispute, Invoice, Payout, PayoutChange, PayoutHold, UsageEvent
from billing.models.invoices import REMAINING_MINOR
from billing.periods import end_of, start_of

_Kind = Account.Kind

# How long an open invoice has been due: name, and more than so many days.
AGES: Final = {
    "not_due": "Not due yet",
    "1": "Up to 30 days overdue",
    "31": "31 to 60 days overdue",
    "61": "61 to 90 days overdue",
    "91": "More than 90 days overdue",
}
# Of each, the oldest first: more than so many days, and at most so many.
_DAYS: Final[dict[str, tuple[int, int | None]]] = {
    "91": (90, None),
    "61": (60, 90),
    "31": (30, 60),
    "1": (0, 30),
}


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of things and what they come to."""

    key: str
    label: str
    count: int
    amount: Money


@dataclass(frozen=True, slots=True)
class Receivables:
    """What merchants owe: open invoices by age, and what is not on an open one. Together the ledger's receivable."""

    total: Money
    ages: list[Amount]
    not_invoiced: Money

    @property
    def overdue(self) -> Money:
        """What should have been paid."""
        return sum((it.amount for it in self.ages if it.key != "not_due"), Money(0, self.total.currency))


def age_of(at: datetime) -> Case:
    """A query's expression: the key in AGES of an open invoice."""
    return Case(
        *(When(due_at__lt=at - timedelta(days=more), then=Value(key)) for key, (more, _) in _DAYS.items()),
        default=Value("not_due"),
        output_field=CharField(),
    )


def of_age(key: str, at: datetime) -> Q:
    """Open invoices of an age, as a range of due times, which an index has."""
    if key not in _DAYS:
        return Q(status=Invoice.Status.OPEN) & (Q(due_at__gte=at) | Q(due_at=None))
    more, most = _DAYS[key]
    older = Q(status=Invoice.Status.OPEN, due_at__lt=at - timedelta(days=more))
    return older if most is None else older & Q(due_at__gte=at - timedelta(days=most))


def read_receivables(*, currency: str, books: dict[str, TrialLine]) -> Receivables:
    """Open invoices by age against the books' receivable."""
    rows = (
        Invoice.objects.filter(status=Invoice.Status.OPEN, currency=currency)
        .annotate(age=age_of(now()))
        .values_list("age")
        .annotate(
            number=Count("pk"),
            left=Sum(REMAINING_MINOR),
        )
        .order_by()
    )
    found = {age: (count, Money.from_minor(minor, currency)) for age, count, minor in rows}
    none = (0, Money(0, currency))
    ages = [Amount(key, label, *found.get(key, none)) for key, label in AGES.items()]
    total = balance_of(books, _Kind.MERCHANT_RECEIVABLE, currency)
    invoiced = sum((it.amount for it in ages), Money(0, currency))
    return Receivables(total, ages, total - invoiced)


def read_held(*, currency: str) -> list[Amount]:
    """Fees that are not on the books yet, by what they wait for."""
    rows = (
        UsageEvent.objects.filter(status__in=UsageEvent.OPEN, currency=currency)
        .values_list("status")
        .annotate(Count("pk"), Sum("amount_micros"))
        .order_by()
    )
    found = {status: (count, Money(micros, currency)) for status, count, micros in rows}
    return [
        Amount(status.value, str(status.label), *found.get(status.value, (0, Money(0, currency))))
        for status in UsageEvent.OPEN
        if status != UsageEvent.Status.HELD or status.value in found
    ]


def read_payouts(*, currency: str, span: Span, books: dict[str, TrialLine]) -> list[Amount]:
    """What is available to developers, and payouts by status: on their way now, the others of the span."""
    status = Payout.Status
    of_span = {"made_at__gte": start_of(span.first), "made_at__lt": end_of(span.last)}
    moving = Payout.objects.filter(currency=currency, status__in=[status.PREPARED, status.SENT])
    over = Payout.objects.filter(
        currency=currency, status__in=[status.PAID, status.FAILED, status.RETURNED], **of_span
    )
    found = {
        name: (count, Money.from_minor(minor, currency))
        for rows in (moving, over)
        for name, count, minor in rows.values_list("status")
        .annotate(Count("pk"), Sum("amount_minor"))
        .order_by()
    }
    available = -balance_of(books, _Kind.DEVELOPER_AVAILABLE, currency)
    none = (0, Money(0, currency))
    return [
        Amount("due", "Due: available to developers", 0, available),
        *(Amount(it.value, str(it.label), *found.get(it.value, none)) for it in status),
    ]


@dataclass(frozen=True, slots=True)
class Disputes:
    """Merchants' disputes of charges: waiting now, and of the span by outcome."""

    waiting: Amount
    opened: int
    upheld: int
    declined: int


def read_disputes(*, currency: str, span: Span) -> Disputes:
    """How many charges merchants dispute."""
    status = ChargeDispute.Status
    mine = ChargeDispute.objects.filter(event__currency=currency)
    waiting = mine.filter(status=status.OPEN).aggregate(n=Count("pk"), micros=Sum("event__amount_micros"))
    inside = (start_of(span.first), end_of(span.last))
    decided = dict(
        mine.filter(decided_at__gte=inside[0], decided_at__lt=inside[1])
        .values_list("status")
        .annotate(Count("pk"))
        .order_by()
    )
    return Disputes(
        Amount("open", str(status.OPEN.label), waiting["n"], Money(waiting["micros"] or 0, currency)),
        opened=mine.filter(opened_at__gte=inside[0], opened_at__lt=inside[1]).count(),
        upheld=decided.get(status.UPHELD, 0),
        declined=decided.get(status.DECLINED, 0),
    )


def holds_in_force() -> int:
    """How many owners nothing is paid out to."""
    return PayoutHold.objects.filter(lifted_at=None).count()


def refused_payouts(span: Span) -> int:
    """How many payouts failed in a span."""
    changes = PayoutChange.objects.filter(status=Payout.Status.FAILED)
    return changes.filter(at__gte=start_of(span.first), at__lt=end_of(span.last)).count()


def balance_of(books: dict[str, TrialLine], kind: str, currency: str) -> Money:
    """The balance of all accounts of a kind, debit positive, rounded to the minor unit for reading."""
    line = books.get(kind)
    return line.balance.rounded if line else Money(0, currency)
