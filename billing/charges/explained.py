"""Why a fee is what it is, and what became of it: nothing is recomputed that was not fixed when it was metered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from agentstore.kit.money import Money
from billing.charges.words import Reader
from billing.earnings import RESERVE_PPM, Standing, standings
from billing.models import (
    Account,
    ChargeDispute,
    EarningRelease,
    Hold,
    Journal,
    MerchantFunding,
    PriceRule,
    StatementLine,
    UsageEvent,
)
from billing.statements import line_of

_Kind = UsageEvent.Kind
_TAKING_BACK = {
    "ppcv_reversal": "Taken back",
    "credit_note": "Credited on its invoice",
    "tax_reversal": "Returned with a refund",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """The terms that a fee was made by, and the sum: `of` and `rate` are empty for a fee per conversation."""

    prices: str
    since: datetime | None
    name: str
    rate: str
    of: Money | None
    fee: Money
    share_rate: str
    share: Money

    @property
    def kept(self) -> Money:
        """The store's part."""
        return self.fee - self.share


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened to a fee, or is to happen (`done` is False)."""

    at: datetime | None
    title: str
    detail: str = ""
    journal: Journal | None = None
    done: bool = True


@dataclass(frozen=True, slots=True)
class Explanation:
    """A fee as its page shows it. `standing` is the developer's; `line` is the reader's, once its month is closed."""

    event: UsageEvent
    rule: Rule
    steps: list[Step]
    dispute: ChargeDispute | None
    line: StatementLine | None
    standing: Standing | None
    release: EarningRelease | None
    status: UsageEvent.Status


def explain_fee(event: UsageEvent, *, reader: Reader) -> Explanation:
    """Everything about a fee that its reader may know; a handful of queries.

    Fraud rules are named to merchants and operators, who decided what only to operators. To a developer a fee that
    a rule has flagged is one whose quarantine goes on: whoever tries them out is not told which are seen.
    """
    standing = standings([event])[event.pk] if reader != "merchant" else None
    return Explanation(
        event=event,
        rule=rule_of(event),
        steps=sorted(_steps(event, reader), key=lambda step: (not step.done, step.at or event.recorded_at)),
        dispute=ChargeDispute.objects.filter(event=event).select_related("credit_note__invoice").first(),
        line=_line(event, reader),
        standing=standing,
        release=_release(event, standing),
        status=_status(event, reader),
    )


def _status(event: UsageEvent, reader: Reader) -> UsageEvent.Status:
    status = UsageEvent.Status(event.status)
    hidden = reader == "developer" and status == UsageEvent.Status.REVIEW
    return UsageEvent.Status.QUARANTINED if hidden else status


def rule_of(event: UsageEvent) -> Rule:
    """The terms of the price version that the conversation was opened under."""
    prices = event.price_version
    kind = PriceRule.Kind.PPCV if event.kind == _Kind.PPCV else PriceRule.Kind.AGENT_TAX
    rule = prices.rule(kind, event.category)
    what = f"for “{rule.category}”" if rule.category else "for all that has no rule of its own"
    of = None if event.kind == _Kind.PPCV else Money(abs(event.base_micros), event.currency)
    return Rule(
        prices=prices.name,
        since=prices.effective_at,
        name=f"{PriceRule.Kind(rule.kind).label} {what}",
        rate="" if of is None else _percent(prices.tax_ppm(event.category)),
        of=of,
        fee=Money(event.amount_micros, event.currency),
        share_rate=_percent(prices.share_ppm(event.category)),
        share=Money(event.developer_share_micros, event.currency),
    )


def _percent(ppm: int) -> str:
    return f"{ppm / 10_000:g} %"


def _steps(event: UsageEvent, reader: Reader) -> Iterator[Step]:
    yield Step(event.occurred_at, "Happened")
    yield from _hold(event, reader)
    for change in event.changes.all():
        if change.status in (UsageEvent.Status.HELD, UsageEvent.Status.POSTED):
            continue  # the hold and the journal say so, and more
        if change.status == UsageEvent.Status.REVIEW and reader == "developer":
            continue  # only what a rule has flagged is reviewed
        by = f"by {change.by}" if reader == "operator" else ""
        reason = change.reason if _may_read(change.status, change.by, reader) else ""
        detail = ", ".join(part for part in (reason, by) if part)
        yield Step(change.at, str(change.get_status_display()), detail)
    if reader != "developer":
        for flag in event.flags.all():
            yield Step(flag.at, f"Flagged: {flag.get_rule_display()}", flag.detail)
    if event.journal is not None:
        yield Step(event.journal.posted_at, "On the books", _funded(event), journal=event.journal)
        for journal in event.journal.reversals.filter(kind__in=_TAKING_BACK):
            yield Step(journal.posted_at, _TAKING_BACK[journal.kind], journal=journal)
    elif event.status == UsageEvent.Status.REVIEW and reader == "developer":
        yield Step(None, "It is charged", "its quarantine goes on", done=False)
    elif event.status == UsageEvent.Status.QUARANTINED:
        yield Step(
            event.due_at, "The quarantine ends", "then it is charged, unless a rule has doubts", done=False
        )
    elif event.status == UsageEvent.Status.REVIEW:
        yield Step(None, "An operator decides", "nothing is charged before", done=False)


def _may_read(status: str, by: str, reader: Reader) -> bool:
    """What an operator wrote is for operators, and for the merchant whose fee went back; the rest is for everybody."""
    if reader == "operator" or not by.startswith("user:"):
        return True
    return reader == "merchant" and status == UsageEvent.Status.REVERSED


def _hold(event: UsageEvent, reader: Reader) -> Iterator[Step]:
    hold = Hold.objects.filter(event=event).select_related("budget").first()
    if hold is None:
        return
    cap = Money(hold.budget.cap_micros, hold.budget.currency)
    # A merchant's cap is not the developer's to know.
    which = "" if reader == "developer" else f", which is {cap} now"
    yield Step(hold.placed_at, "Held", f"of the merchant's budget of {hold.budget.period}{which}")
    if hold.released_at is not None:
        yield Step(hold.released_at, "Hold given back", "the budget has it again")


def _funded(event: UsageEvent) -> str:
    if event.kind != _Kind.PPCV:
        return "taken of what the store owes the merchant for the sale"
    return (
        "paid from the balance"
        if event.funding == MerchantFunding.Mode.PREPAID
        else "owed, and invoiced with its month"
    )


def _line(event: UsageEvent, reader: Reader) -> StatementLine | None:
    if event.journal is None or reader == "operator":
        return None
    owner, account = event.developer_ref, Account.Kind.DEVELOPER_PENDING.value
    if reader == "merchant":
        owner = event.merchant_ref
        prepaid = event.funding == MerchantFunding.Mode.PREPAID
        account = (
            Account.Kind.MERCHANT_WALLET
            if event.kind != _Kind.PPCV
            else Account.Kind.MERCHANT_PREPAID
            if prepaid
            else Account.Kind.MERCHANT_RECEIVABLE
        ).value
    return line_of(
        event.journal, owner_ref=owner, currency=event.currency, category=event.category, account_kind=account
    )


def _release(event: UsageEvent, standing: Standing | None) -> EarningRelease | None:
    """The release that a mature share went with: the first one after it was mature."""
    if standing is None or standing.state != "available" or standing.at is None:
        return None
    releases = EarningRelease.objects.filter(owner_ref=event.developer_ref, currency=event.currency)
    return (
        releases.filter(released_at__gte=standing.at - timedelta(seconds=1)).order_by("released_at").first()
    )


RESERVE_RATE = _percent(RESERVE_PPM)
