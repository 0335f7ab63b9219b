"""Fees added up by day for each merchant, developer and agent; 0012 adds up those of before."""

from __future__ import annotations

from django.db import migrations, models


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
            field=models.CharField(blank=True, db_default='', default='', help_text='what brought it about, as the caller names it', max_length=64),
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
    ]
