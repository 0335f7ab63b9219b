"""Fees added up by day for each merchant, developer and agent; the totals of what is rolled up already."""

from __future__ import annotations

from django.db import migrations, models

CATCH_UP = """
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
        ('billing', '0008_reconciliation'),
    ]

    operations = [
        migrations.CreateModel(
            name='SubjectTotal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('role', models.CharField(choices=[('merchant', 'Merchant'), ('developer', 'Developer'), ('agent', 'Agent'), ('pair', 'Merchant and agent')], max_length=9)),
                ('currency', models.CharField(max_length=3)),
                ('day', models.DateField()),
                ('merchant_ref', models.CharField(blank=True, max_length=64)),
                ('developer_ref', models.CharField(blank=True, max_length=64)),
                ('agent_ref', models.CharField(blank=True, max_length=64)),
                ('journal_kind', models.CharField(max_length=32)),
                ('fee_micros', models.BigIntegerField(default=0, help_text='what merchants were charged; negative: given back')),
                ('share_micros', models.BigIntegerField(default=0, help_text="the developers' part of it")),
                ('journals', models.BigIntegerField(default=0)),
            ],
        ),
        migrations.AddField(
            model_name='usageevent',
            name='agent_ref',
            field=models.CharField(blank=True, help_text='what brought it about, as the caller names it', max_length=64),
        ),
        migrations.AddIndex(
            model_name='chargedispute',
            index=models.Index(fields=['opened_at'], name='disputes_by_opening'),
        ),
        migrations.AddIndex(
            model_name='chargedispute',
            index=models.Index(condition=models.Q(('decided_at__isnull', False)), fields=['decided_at'], name='disputes_by_decision'),
        ),
        migrations.AddIndex(
            model_name='invoice',
            index=models.Index(condition=models.Q(('status__in', ['prepared', 'open'])), fields=['currency', 'due_at'], name='invoice_open'),
        ),
        migrations.AddIndex(
            model_name='payout',
            index=models.Index(fields=['currency', 'status', 'made_at'], name='payout_by_status'),
        ),
        migrations.AddIndex(
            model_name='subjecttotal',
            index=models.Index(condition=models.Q(('merchant_ref', ''), _negated=True), fields=['merchant_ref', 'role', 'day'], name='subject_of_merchant'),
        ),
        migrations.AddIndex(
            model_name='subjecttotal',
            index=models.Index(condition=models.Q(('developer_ref', ''), _negated=True), fields=['developer_ref', 'role', 'day'], name='subject_of_developer'),
        ),
        migrations.AddConstraint(
            model_name='subjecttotal',
            constraint=models.UniqueConstraint(fields=('role', 'currency', 'day', 'merchant_ref', 'developer_ref', 'agent_ref', 'journal_kind'), name='one_subject_total_a_day'),
        ),
        migrations.RunSQL(CATCH_UP, migrations.RunSQL.noop),
    ]
