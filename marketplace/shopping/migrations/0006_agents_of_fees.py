"""The fees of before say which agent brought them about, and so do their totals by day."""

from __future__ import annotations

from django.db import migrations

NAME_AGENTS = """
UPDATE billing_usageevent u SET agent_ref = 'agent:' || c.agent_id FROM shopping_conversation c
WHERE u.agent_ref = '' AND u.conversation_ref = c.id::text
"""
# The roll-up waits at the mark's row meanwhile, so no total is made twice or of half of the fees.
ADD_UP_ANEW = """
SELECT FROM billing_rollupmark FOR UPDATE;
DELETE FROM billing_subjecttotal WHERE role IN ('agent', 'pair');
INSERT INTO billing_subjecttotal (role, currency, day, merchant_ref, developer_ref, agent_ref, journal_kind,
                                  fee_micros, share_micros, journals)
SELECT CASE grouping(merchant_ref) WHEN 1 THEN 'agent' ELSE 'pair' END, currency, coalesce(day, happened),
       coalesce(merchant_ref, ''), coalesce(developer_ref, ''), agent_ref, kind,
       sum(sign * amount_micros)::bigint, sum(sign * developer_share_micros)::bigint, count(*)
FROM (
    SELECT u.currency, u.merchant_ref, u.developer_ref, u.agent_ref, j.kind, k.sign, u.amount_micros,
           u.developer_share_micros, (j.posted_at AT TIME ZONE 'UTC')::date AS day,
           (u.occurred_at AT TIME ZONE 'UTC')::date AS happened
    FROM billing_entry e JOIN billing_journal j ON j.id = e.journal_id
    JOIN (VALUES ('ppcv', 1), ('ppcv_reversal', -1), ('credit_note', -1), ('agent_tax', 1), ('tax_reversal', 1))
        AS k(kind, sign) ON k.kind = j.kind
    JOIN billing_usageevent u ON u.journal_id =
        CASE WHEN j.kind IN ('ppcv_reversal', 'credit_note') THEN j.reverses_id ELSE j.id END
    WHERE e.leg = 1 AND e.xid < (SELECT xid FROM billing_rollupmark WHERE id = 1)
) AS fees
GROUP BY GROUPING SETS (
    (currency, kind, day, developer_ref, agent_ref), (currency, kind, happened, merchant_ref, agent_ref)
);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0009_totals_by_subject"),
        ("shopping", "0005_recommendations_by_merchant"),
    ]

    operations = [
        migrations.RunSQL(NAME_AGENTS, migrations.RunSQL.noop),
        migrations.RunSQL(ADD_UP_ANEW, migrations.RunSQL.noop),
    ]
