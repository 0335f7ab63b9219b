"""What a merchant can still spend: its prepaid balance, or its credit, less the fees that are held already.

docs/algorithms/metering.md explains why neither is passed under any concurrency.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection, transaction

from agentstore.kit.errors import Invalid
from agentstore.kit.money import Money
from billing.accounts import AccountKey, merchant_prepaid, merchant_receivable
from billing.balances import MARK
from billing.models import FundingChange, MerchantFunding

Mode = MerchantFunding.Mode

# One statement and so one snapshot: a fee that is posted meanwhile moves from the holds to the balance, and
# is seen in one of them, never in both or in none.
_LEFT = f"""
SELECT %(limit)s
     - coalesce((SELECT r.debit_micros - r.credit_micros FROM billing_balancerollup r WHERE r.account_id = a.id), 0)
     - coalesce((SELECT sum(e.amount) FROM billing_entry e WHERE e.account_id = a.id AND e.xid >= {MARK}), 0)
     - coalesce((SELECT sum(h.amount_micros) FROM billing_hold h JOIN billing_merchantbudget b ON b.id = h.budget_id
                 WHERE b.merchant_ref = %(owner)s AND b.currency = %(currency)s
                   AND h.captured_at IS NULL AND h.released_at IS NULL), 0)
FROM (SELECT (SELECT id FROM billing_account
              WHERE owner_ref = %(owner)s AND kind = %(kind)s AND currency = %(currency)s) AS id) AS a
"""  # noqa: S608 (only the constant above is put in)


@dataclass(frozen=True, slots=True)
class Means:
    """How a merchant pays now, and what it can still spend; None where only its own caps limit it."""

    mode: str
    left_micros: int | None

    def covers(self, micros: int) -> bool:
        """Whether a fee fits."""
        return self.left_micros is None or micros <= self.left_micros


def funding_of(*, merchant_ref: str, currency: str) -> MerchantFunding:
    """How a merchant pays; an unsaved row of the defaults where nobody has chosen."""
    found = MerchantFunding.objects.filter(merchant_ref=merchant_ref, currency=currency).first()
    return found or MerchantFunding(merchant_ref=merchant_ref, currency=currency)


def lock_means(*, merchant_ref: str, currency: str) -> MerchantFunding | None:
    """Lock a merchant's row until the transaction ends; None where it has none and nothing needs a lock."""
    return (
        MerchantFunding.objects.select_for_update(no_key=True)
        .filter(merchant_ref=merchant_ref, currency=currency)
        .first()
    )


def read_means(funding: MerchantFunding) -> Means:
    """What is left to a merchant now. Under `lock_means` nothing can be held beside it until the lock is gone."""
    if funding.mode == Mode.PREPAID:
        return Means(funding.mode, _left(merchant_prepaid(funding.merchant_ref, funding.currency), limit=0))
    if funding.credit_limit_micros is None:
        return Means(funding.mode, None)
    owed = merchant_receivable(funding.merchant_ref, funding.currency)
    return Means(funding.mode, _left(owed, limit=funding.credit_limit_micros))


def _left(account: AccountKey, *, limit: int) -> int:
    owner, kind, currency = account
    with connection.cursor() as cursor:
        cursor.execute(_LEFT, {"limit": limit, "owner": owner, "kind": kind, "currency": currency})
        return int(cursor.fetchone()[0])


@transaction.atomic
def set_funding(
    *,
    merchant_ref: str,
    currency: str,
    by: str,
    mode: str | None = None,
    credit_limit: Money | None = None,
    alert_below: Money | None = None,
    reason: str = "",
) -> MerchantFunding:
    """Change how a merchant pays, its credit limit or its alert; what is None stays as it is. Raises Invalid.

    Fees that are held already are paid as they were held. A limit below what is owed stops further fees.
    """
    if mode is not None and mode not in Mode.values:
        raise Invalid("PPCv is paid from a balance or by invoice.")
    if any(amount is not None and amount.micros < 0 for amount in (credit_limit, alert_below)):
        raise Invalid("An amount can't be negative.")
    funding, _ = MerchantFunding.objects.select_for_update().get_or_create(
        merchant_ref=merchant_ref, currency=currency
    )
    if mode is not None:
        funding.mode = mode
    if credit_limit is not None:
        funding.credit_limit_micros = credit_limit.micros
    if alert_below is not None:
        funding.alert_below_micros = alert_below.micros
    funding.save()
    FundingChange.objects.create(
        funding=funding,
        mode=funding.mode,
        credit_limit_micros=funding.credit_limit_micros,
        alert_below_micros=funding.alert_below_micros,
        by=by,
        reason=reason[:200],
    )
    return funding
