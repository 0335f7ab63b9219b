"""Statements against events: what the lines of a statement say is what the events of its period come to."""

from __future__ import annotations

from datetime import date

from django.db import connection

from billing.models import Statement
from billing.periods import end_of, start_of
from billing.reconciliation.event_check import USAGE
from billing.reconciliation.findings import Difference, Findings
from billing.statement_rules import bounds_of, sign_of

# The events behind a statement, from the events' side: whose fee, whose share, by the rule of billing.statement_rules.
_EVENTS = """
SELECT t.account_kind, t.kind, count(*), sum(t.micros)::bigint FROM (
    SELECT u.kind, p.account_kind, p.micros
    FROM billing_usageevent u JOIN billing_journal j ON j.id = u.journal_id
    CROSS JOIN LATERAL (
        SELECT u.merchant_ref AS owner, u.amount_micros AS micros, CASE
            WHEN u.kind <> 'ppcv' THEN 'merchant_wallet'
            WHEN u.funding = 'prepaid' THEN 'merchant_prepaid' ELSE 'merchant_receivable' END AS account_kind
        UNION ALL SELECT u.developer_ref, -u.developer_share_micros, 'developer_pending'
    ) p
    WHERE (u.merchant_ref = %(owner)s OR u.developer_ref = %(owner)s) AND p.owner = %(owner)s
      AND u.currency = %(currency)s AND p.micros <> 0
      AND j.xid < %(mark)s::xid8 AND j.occurred_at < %(end)s
      AND NOT (j.xid < %(mark_before)s::xid8 AND j.occurred_at < %(end_before)s)
) t GROUP BY 1, 2
"""


def check_statements(day: date) -> Findings:
    """Compare the statements that were made on a day with the events of their periods."""
    findings = Findings()
    made = Statement.objects.filter(made_at__gte=start_of(day), made_at__lt=end_of(day))
    for statement in made.select_related("period").order_by("pk").iterator():
        findings.compared += 1
        _compare(statement, findings)
    return findings


def _compare(statement: Statement, findings: Findings) -> None:
    with connection.cursor() as cursor:
        bounds = bounds_of(statement.period)
        cursor.execute(_EVENTS, {**bounds, "owner": statement.owner_ref, "currency": statement.currency})
        expected = {
            (account, kind): (count, sign_of(account) * int(micros))
            for account, kind, count, micros in cursor.fetchall()
        }
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for line in statement.lines.filter(kind__in=USAGE):
        count, micros = found.get((line.account_kind, line.kind), (0, 0))
        found[line.account_kind, line.kind] = (count + line.quantity, micros + line.exact_micros)
    for account, kind in sorted({*expected, *found}):
        count, micros = expected.get((account, kind), (0, 0))
        said, exact = found.get((account, kind), (0, 0))
        reference = f"{statement.period_id} {statement.owner_ref} {account} {kind}"
        if micros != exact:
            findings.add(Difference("statement_sum", reference, "", statement.currency, micros, exact))
        elif count != said:
            detail = f"{count} events, {said} on the lines"
            findings.add(Difference("statement_count", reference, detail, statement.currency))
