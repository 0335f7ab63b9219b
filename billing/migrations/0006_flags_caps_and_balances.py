"""Fraud rules, caps of the day, prepaid balances and credit limits; the days of what is held already."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

import agentstore.kit.clock
import agentstore.kit.ids


class Migration(migrations.Migration):

    dependencies = [
        ('billing', '0005_price_notices'),
    ]

    operations = [
        migrations.CreateModel(
            name='BudgetDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('spent_micros', models.BigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name='FundingChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('mode', models.CharField(choices=[('prepaid', 'From a balance paid in before'), ('postpaid', 'By invoice')], max_length=8)),
                ('credit_limit_micros', models.BigIntegerField(blank=True, null=True)),
                ('alert_below_micros', models.BigIntegerField(default=0)),
                ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                ('by', models.CharField(max_length=64)),
                ('reason', models.CharField(blank=True, max_length=200)),
            ],
            options={
                'ordering': ['at', 'id'],
            },
        ),
        migrations.CreateModel(
            name='MerchantFunding',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('merchant_ref', models.CharField(max_length=64)),
                ('currency', models.CharField(max_length=3)),
                ('mode', models.CharField(choices=[('prepaid', 'From a balance paid in before'), ('postpaid', 'By invoice')], default='postpaid', max_length=8)),
                ('credit_limit_micros', models.BigIntegerField(blank=True, help_text="at most owed at a time, held fees included; none: no limit of the store's", null=True)),
                ('alert_below_micros', models.BigIntegerField(default=0, help_text='tell the merchant when less than this is left of its balance')),
            ],
        ),
        migrations.CreateModel(
            name='TopUp',
            fields=[
                ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ('merchant_ref', models.CharField(max_length=64)),
                ('currency', models.CharField(max_length=3)),
                ('amount_micros', models.BigIntegerField()),
                ('status', models.CharField(choices=[('started', 'Not paid yet'), ('paid', 'Paid'), ('failed', 'Given up')], default='started', max_length=8)),
                ('decline', models.CharField(blank=True, help_text="the bank's last answer while it is not paid", max_length=60)),
                ('payment_ref', models.CharField(blank=True, max_length=64)),
                ('created_at', models.DateTimeField(default=agentstore.kit.clock.now)),
            ],
        ),
        migrations.CreateModel(
            name='TopUpChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('status', models.CharField(choices=[('started', 'Not paid yet'), ('paid', 'Paid'), ('failed', 'Given up')], max_length=8)),
                ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                ('by', models.CharField(max_length=64)),
                ('reason', models.CharField(blank=True, max_length=200)),
            ],
            options={
                'ordering': ['at', 'id'],
            },
        ),
        migrations.CreateModel(
            name='UsageFlag',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('rule', models.CharField(choices=[('own_organization', 'Own organization'), ('velocity', 'Too many in a short time'), ('many_conversations', 'One shopper, many conversations'), ('no_real_message', 'No real message'), ('instant_close', 'Closed at once')], max_length=20)),
                ('detail', models.CharField(blank=True, help_text='the figures that broke it', max_length=200)),
                ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
            ],
            options={
                'ordering': ['at', 'id'],
            },
        ),
        migrations.CreateModel(
            name='UsageTally',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('merchant_ref', models.CharField(max_length=64)),
                ('subject', models.CharField(help_text='buyer:<ref> or developer:<ref>', max_length=80)),
                ('window', models.DateTimeField(help_text='its first instant')),
                ('events', models.PositiveIntegerField(default=0)),
            ],
        ),
        migrations.AddField(
            model_name='budgetchange',
            name='day_cap_micros',
            field=models.BigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='merchantbudget',
            name='day_cap_micros',
            field=models.BigIntegerField(blank=True, help_text="of each day; none: the month's alone", null=True),
        ),
        migrations.AddField(
            model_name='usageevent',
            name='buyer_ref',
            field=models.CharField(blank=True, help_text='who talked, as the caller names them', max_length=64),
        ),
        migrations.AddField(
            model_name='usageevent',
            name='funding',
            field=models.CharField(choices=[('prepaid', 'From a balance paid in before'), ('postpaid', 'By invoice')], default='postpaid', help_text='a prepaid fee is paid when it is posted and never invoiced', max_length=8),
        ),
        migrations.AlterField(
            model_name='account',
            name='kind',
            field=models.CharField(choices=[('merchant_wallet', 'Merchant wallet'), ('merchant_receivable', 'Merchant receivable'), ('merchant_prepaid', 'Merchant prepaid balance'), ('platform_revenue', 'Platform revenue'), ('developer_pending', 'Developer share, pending'), ('developer_available', 'Developer share, available'), ('developer_reserve', 'Developer share, in reserve'), ('processor_clearing', 'Processor clearing'), ('processor_fees', 'Processor fees'), ('dispute_loss', 'Dispute loss'), ('sales_tax', 'Sales tax'), ('rounding', 'Rounding')], max_length=24),
        ),
        migrations.AlterField(
            model_name='usageevent',
            name='status',
            field=models.CharField(choices=[('held', 'Held'), ('quarantined', 'In quarantine'), ('review', 'Waits for review'), ('rated', 'Rated'), ('posted', 'Posted'), ('rejected', 'Rejected'), ('reversed', 'Reversed')], max_length=12),
        ),
        migrations.AlterField(
            model_name='usageeventchange',
            name='status',
            field=models.CharField(choices=[('held', 'Held'), ('quarantined', 'In quarantine'), ('review', 'Waits for review'), ('rated', 'Rated'), ('posted', 'Posted'), ('rejected', 'Rejected'), ('reversed', 'Reversed')], max_length=12),
        ),
        migrations.AddIndex(
            model_name='hold',
            index=models.Index(condition=models.Q(('captured_at__isnull', True), ('released_at__isnull', True)), fields=['budget'], include=('amount_micros',), name='hold_open'),
        ),
        migrations.AddIndex(
            model_name='usageevent',
            index=models.Index(condition=models.Q(('status__in', ['quarantined', 'review'])), fields=['conversation_ref'], name='usage_of_conversation'),
        ),
        migrations.AddIndex(
            model_name='usageevent',
            index=models.Index(condition=models.Q(('status', 'posted'), _negated=True), fields=['status', 'id'], name='usage_not_posted'),
        ),
        migrations.AddConstraint(
            model_name='merchantbudget',
            constraint=models.CheckConstraint(condition=models.Q(('day_cap_micros__isnull', True), ('day_cap_micros__gte', 0), _connector='OR'), name='day_cap_is_not_negative'),
        ),
        migrations.AddField(
            model_name='budgetday',
            name='budget',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='days', to='billing.merchantbudget'),
        ),
        migrations.AddConstraint(
            model_name='merchantfunding',
            constraint=models.UniqueConstraint(fields=('merchant_ref', 'currency'), name='one_funding_a_merchant'),
        ),
        migrations.AddConstraint(
            model_name='merchantfunding',
            constraint=models.CheckConstraint(condition=models.Q(('credit_limit_micros__isnull', True), ('credit_limit_micros__gte', 0), _connector='OR'), name='credit_limit_is_not_negative'),
        ),
        migrations.AddField(
            model_name='fundingchange',
            name='funding',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='changes', to='billing.merchantfunding'),
        ),
        migrations.AddField(
            model_name='topup',
            name='journal',
            field=models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='top_up', to='billing.journal'),
        ),
        migrations.AddField(
            model_name='topupchange',
            name='top_up',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='changes', to='billing.topup'),
        ),
        migrations.AddField(
            model_name='usageflag',
            name='event',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='flags', to='billing.usageevent'),
        ),
        migrations.AddIndex(
            model_name='usagetally',
            index=models.Index(fields=['window'], name='tally_by_age'),
        ),
        migrations.AddConstraint(
            model_name='usagetally',
            constraint=models.UniqueConstraint(fields=('merchant_ref', 'subject', 'window'), name='one_tally_a_window'),
        ),
        migrations.AddConstraint(
            model_name='budgetday',
            constraint=models.UniqueConstraint(fields=('budget', 'day'), name='one_row_a_day'),
        ),
        migrations.AddConstraint(
            model_name='budgetday',
            constraint=models.CheckConstraint(condition=models.Q(('spent_micros__gte', 0)), name='day_spent_is_not_negative'),
        ),
        migrations.AddIndex(
            model_name='topup',
            index=models.Index(fields=['merchant_ref', '-created_at'], name='top_up_by_merchant'),
        ),
        migrations.AddConstraint(
            model_name='topup',
            constraint=models.CheckConstraint(condition=models.Q(('amount_micros__gt', 0)), name='top_up_adds_something'),
        ),
        migrations.AddConstraint(
            model_name='topup',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('journal__isnull', False), ('status', 'paid')), models.Q(models.Q(('status', 'paid'), _negated=True), ('journal__isnull', True)), _connector='OR'), name='paid_top_ups_are_booked'),
        ),
        migrations.AddConstraint(
            model_name='usageflag',
            constraint=models.UniqueConstraint(fields=('event', 'rule'), name='each_rule_once'),
        ),
        migrations.AlterField(
            model_name='statementbalance',
            name='account_kind',
            field=models.CharField(choices=[('merchant_wallet', 'Merchant wallet'), ('merchant_receivable', 'Merchant receivable'), ('merchant_prepaid', 'Merchant prepaid balance'), ('platform_revenue', 'Platform revenue'), ('developer_pending', 'Developer share, pending'), ('developer_available', 'Developer share, available'), ('developer_reserve', 'Developer share, in reserve'), ('processor_clearing', 'Processor clearing'), ('processor_fees', 'Processor fees'), ('dispute_loss', 'Dispute loss'), ('sales_tax', 'Sales tax'), ('rounding', 'Rounding')], max_length=24),
        ),
        migrations.AlterField(
            model_name='statementline',
            name='account_kind',
            field=models.CharField(choices=[('merchant_wallet', 'Merchant wallet'), ('merchant_receivable', 'Merchant receivable'), ('merchant_prepaid', 'Merchant prepaid balance'), ('platform_revenue', 'Platform revenue'), ('developer_pending', 'Developer share, pending'), ('developer_available', 'Developer share, available'), ('developer_reserve', 'Developer share, in reserve'), ('processor_clearing', 'Processor clearing'), ('processor_fees', 'Processor fees'), ('dispute_loss', 'Dispute loss'), ('sales_tax', 'Sales tax'), ('rounding', 'Rounding')], max_length=24),
        ),
        migrations.RunSQL(
            "INSERT INTO billing_budgetday (budget_id, day, spent_micros)"
            " SELECT h.budget_id, (e.occurred_at AT TIME ZONE 'UTC')::date, sum(h.amount_micros)"
            " FROM billing_hold h JOIN billing_usageevent e ON e.id = h.event_id"
            " WHERE h.released_at IS NULL GROUP BY 1, 2",
            migrations.RunSQL.noop,
        ),
    ]
