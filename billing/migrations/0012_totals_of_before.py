"""The totals by subject of what was rolled up before there were any.

All of history is read: by itself, so that nothing but the roll-up waits for it, at the mark's row. What was
added up meanwhile is added up anew with the rest.
"""

from __future__ import annotations

from django.db import migrations

CATCH_UP = """
SELECT FROM billing_rollupmark FOR UPDATE;
DELETE FROM billing_subjecttotal;
WITH fees AS (
    SELECT (j.posted_at AT TIME ZONE 'UTC')::date AS day, (u.occurred_at AT TIME ZONE 'UTC')::date AS happened,
           j.kind AS journal_kind, u.currency, u.merchant_ref, u.developer_ref, u.agent_ref,
           sum(k.sign * u.amount_micros) AS fee, sum(k.sign * u.developer_share_micros) AS share, count(*) AS journals
    FROM billing_entry e JOIN billing_journal j ON j.id = e.journal_id
    JOIN (VALUES ('ppcv', 1), ('ppcv_reversal', -1), ('credit_note', -1), ('agent_tax', 1), ('tax_reversal', 1))
        AS k(kind, sign) ON k.kind = j.kind
    JOIN billing_usageevent u ON u.journal_id =
        CASE WHEN j.kind IN ('ppcv_reversal', 'credit_note') THEN j.reverses_id ELSE j.id END
    WHERE e.leg = 1 AND e.xid < (SELECT xid FROM billing_rollupmark WHERE id = 1) GROUP BY 1, 2, 3, 4, 5, 6, 7
)
INSERT INTO billing_subjecttotal (role, currency, day, merchant_ref, developer_ref, agent_ref, journal_kind,
                                  fee_micros, share_micros, journals)
SELECT CASE grouping(merchant_ref, developer_ref, agent_ref)
           WHEN 3 THEN 'merchant' WHEN 5 THEN 'developer' WHEN 4 THEN 'agent' ELSE 'pair' END,
       currency, coalesce(day, happened), coalesce(merchant_ref, ''), coalesce(developer_ref, ''),
       coalesce(agent_ref, ''), journal_kind, sum(fee)::bigint, sum(share)::bigint, sum(journals)::bigint
FROM fees GROUP BY GROUPING SETS (
    (currency, journal_kind, day, merchant_ref), (currency, journal_kind, day, developer_ref),
    (currency, journal_kind, day, developer_ref, agent_ref), (currency, journal_kind, happened, merchant_ref, agent_ref)
)
"""


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0011_tax_by_merchant"),
    ]

    operations = [
        migrations.RunSQL(CATCH_UP, migrations.RunSQL.noop),
    ]
