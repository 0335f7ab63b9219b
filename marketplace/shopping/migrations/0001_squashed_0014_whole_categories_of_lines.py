"""Conversations, negotiations, carts, checkouts, orders and platforms."""

from __future__ import annotations

import uuid

import django.contrib.postgres.indexes
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import agentstore.kit.clock
import agentstore.kit.ids
import marketplace.shopping.models.quote
import marketplace.shopping.models.ucp
from agentstore.kit.migrations import CreateModels


class Migration(migrations.Migration):

    replaces = [
        ('shopping', '0001_conversations_carts_and_orders'),
        ('shopping', '0002_failures_with_their_log'),
        ('shopping', '0003_ucp_carts_checkouts_and_replies'),
        ('shopping', '0004_negotiation_rules'),
        ('shopping', '0005_recommendations_by_merchant'),
        ('shopping', '0006_agents_of_fees'),
        ('shopping', '0007_cards_by_day_and_sales_by_payment'),
        ('shopping', '0008_ucp_profiles'),
        ('shopping', '0009_order_events_and_disputes'),
        ('shopping', '0010_ucp_profiles_added_at'),
        ('shopping', '0011_negotiations_and_quotes'),
        ('shopping', '0012_discount_codes'),
        ('shopping', '0013_totals_told'),
        ('shopping', '0014_whole_categories_of_lines'),
    ]

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ('catalog', '0001_squashed_0015_slugs_by_path'),
        ('identity', '0001_squashed_0003_access_tokens'),
        ('publishing', '0001_squashed_0002_advisories'),
    ]

    operations = [
        CreateModels(
            models=[
                migrations.CreateModel(
                    name='NegotiationRule',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('off_ppm', models.PositiveIntegerField(help_text='the most off one piece, in parts per million')),
                        ('step_ppm', models.PositiveIntegerField(help_text='what each round comes down by, in parts per million')),
                        ('rounds', models.PositiveSmallIntegerField()),
                        ('floor_micros', models.BigIntegerField(help_text='the lowest price of one piece', null=True)),
                        ('currency', models.CharField(max_length=3)),
                        ('breaks', models.JSONField(default=list, help_text='pairs of a quantity and what may be off from there on')),
                        ('valid_from', models.DateTimeField(null=True)),
                        ('valid_to', models.DateTimeField(null=True)),
                        ('from_hour', models.PositiveSmallIntegerField(help_text='UTC', null=True)),
                        ('to_hour', models.PositiveSmallIntegerField(null=True)),
                        ('least_stock', models.PositiveIntegerField(default=0)),
                        ('active', models.BooleanField(default=True)),
                        ('created_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('updated_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('category', models.ForeignKey(help_text='with all below it', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='catalog.category')),
                        ('merchant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='negotiation_rules', to='identity.organization')),
                        ('offer', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='catalog.offer')),
                        ('product', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='catalog.product')),
                    ],
                    options={
                        'ordering': ['-updated_at', '-id'],
                        'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('category__isnull', True), ('offer__isnull', False), ('product__isnull', True)), models.Q(('category__isnull', True), ('offer__isnull', True), ('product__isnull', False)), models.Q(('category__isnull', False), ('offer__isnull', True), ('product__isnull', True)), _connector='OR'), name='rule_for_one_thing'), models.UniqueConstraint(fields=('merchant', 'offer'), name='one_rule_per_offer'), models.UniqueConstraint(fields=('merchant', 'product'), name='one_rule_per_product'), models.UniqueConstraint(fields=('merchant', 'category'), name='one_rule_per_merchant_category')],
                    },
                ),
                migrations.CreateModel(
                    name='NegotiationRuleChange',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('terms', models.JSONField()),
                        ('active', models.BooleanField()),
                        ('reason', models.CharField(blank=True, max_length=200)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('rule', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='changes', to='shopping.negotiationrule')),
                    ],
                    options={
                        'ordering': ['-at', '-id'],
                    },
                ),
                migrations.CreateModel(
                    name='Shopper',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('country', models.CharField(default='US', help_text='ISO 3166-1 alpha-2, where to ship', max_length=2)),
                        ('birth_year', models.PositiveSmallIntegerField(blank=True, help_text='for age limits; optional', null=True)),
                        ('facts', models.JSONField(blank=True, default=dict, help_text='sizes and likes, as the shopper wrote them; for consented agents')),
                        ('created_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('user', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='shopper', to=settings.AUTH_USER_MODEL)),
                    ],
                ),
                migrations.CreateModel(
                    name='Cart',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('updated_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('shopper', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='cart', to='shopping.shopper')),
                    ],
                ),
                migrations.CreateModel(
                    name='Checkout',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('status', models.CharField(choices=[('open', 'Waiting for payment'), ('paid', 'Paid'), ('cancelled', 'Given up'), ('expired', 'Expired'), ('returned', 'Paid too late and sent back')], default='open', max_length=9)),
                        ('currency', models.CharField(max_length=3)),
                        ('total_micros', models.BigIntegerField()),
                        ('payment_ref', models.CharField(blank=True, help_text="the processor's payment intent", max_length=80)),
                        ('decline', models.CharField(blank=True, help_text='typed code of the last refused attempt', max_length=60)),
                        ('opened_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('expires_at', models.DateTimeField()),
                        ('paid_at', models.DateTimeField(blank=True, null=True)),
                        ('shopper', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='checkouts', to='shopping.shopper')),
                    ],
                    options={
                        'ordering': ['-opened_at'],
                        'indexes': [models.Index(condition=models.Q(('status', 'open')), fields=['expires_at'], name='checkout_expiry')],
                        'constraints': [models.UniqueConstraint(condition=models.Q(('payment_ref', ''), _negated=True), fields=('payment_ref',), name='one_checkout_per_payment'), models.UniqueConstraint(condition=models.Q(('status', 'open')), fields=('shopper',), name='one_open_checkout')],
                    },
                ),
                migrations.CreateModel(
                    name='CheckoutStatusChange',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('from_status', models.CharField(blank=True, max_length=9)),
                        ('to_status', models.CharField(max_length=9)),
                        ('reason', models.CharField(blank=True, max_length=200)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('checkout', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='status_changes', to='shopping.checkout')),
                    ],
                    options={
                        'ordering': ['at', 'id'],
                    },
                ),
                migrations.CreateModel(
                    name='Consent',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('scope', models.CharField(choices=[('profile', 'Sizes, likes and past purchases'), ('photos', 'Photos sent in a conversation')], max_length=10)),
                        ('given_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('withdrawn_at', models.DateTimeField(blank=True, null=True)),
                        ('shopper', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='consents', to='shopping.shopper')),
                    ],
                    options={
                        'ordering': ['-given_at'],
                        'constraints': [models.UniqueConstraint(condition=models.Q(('withdrawn_at__isnull', True)), fields=('shopper', 'scope'), name='one_consent_in_force')],
                    },
                ),
                migrations.CreateModel(
                    name='Conversation',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('purpose', models.CharField(choices=[('shopping', 'With a shopper'), ('rehearsal', 'A check of a submission; never shown or billed')], default='shopping', max_length=10)),
                        ('price_version_ref', models.CharField(help_text='the price version in force when it was opened', max_length=40)),
                        ('exposure_id', models.UUIDField(blank=True, help_text='the exposure that led here', null=True)),
                        ('experiment_arm', models.CharField(blank=True, max_length=40)),
                        ('consents', models.JSONField(default=list, help_text='scopes in force when it was opened')),
                        ('limits', models.JSONField(default=dict, help_text='what the shopper stated and the platform checks: max_price_micros')),
                        ('model_tokens', models.PositiveIntegerField(default=0, help_text="what the agent took from the model server's budget for this conversation")),
                        ('locale', models.CharField(default='en-US', max_length=12)),
                        ('currency', models.CharField(default='USD', max_length=3)),
                        ('country', models.CharField(default='US', max_length=2)),
                        ('status', models.CharField(choices=[('open', 'Open'), ('closed', 'Closed'), ('deleted', 'Deleted by the shopper')], default='open', max_length=8)),
                        ('opened_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('closed_at', models.DateTimeField(blank=True, null=True)),
                        ('agent', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='conversations', to='publishing.agent')),
                        ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='conversations', to='publishing.version')),
                        ('shopper', models.ForeignKey(help_text='none in a rehearsal', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='conversations', to='shopping.shopper')),
                    ],
                    options={
                        'ordering': ['-opened_at'],
                        'indexes': [models.Index(fields=['shopper', '-opened_at'], name='conversation_by_shopper')],
                        'constraints': [models.CheckConstraint(condition=models.Q(('purpose', 'rehearsal'), ('status', 'deleted'), ('shopper__isnull', False), _connector='OR'), name='shopping_has_a_shopper')],
                    },
                ),
                migrations.CreateModel(
                    name='Negotiation',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('opened_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('conversation', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='negotiations', to='shopping.conversation')),
                        ('merchant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='negotiations', to='identity.organization')),
                        ('offer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='catalog.offer')),
                    ],
                    options={
                        'ordering': ['-opened_at', '-id'],
                        'indexes': [models.Index(fields=['merchant', '-opened_at'], name='negotiation_by_merchant')],
                        'constraints': [models.UniqueConstraint(fields=('conversation', 'offer'), name='one_negotiation_per_offer')],
                    },
                ),
                migrations.CreateModel(
                    name='Order',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('number', models.CharField(help_text='for people', max_length=20, unique=True)),
                        ('status', models.CharField(choices=[('pending', 'Waiting for payment'), ('paid', 'Paid'), ('cancelled', 'Cancelled'), ('part_refunded', 'Partly refunded'), ('refunded', 'Refunded')], default='pending', max_length=13)),
                        ('currency', models.CharField(max_length=3)),
                        ('total_micros', models.BigIntegerField()),
                        ('ship_to', models.JSONField(default=dict, help_text='name and address; for this merchant alone')),
                        ('placed_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('paid_at', models.DateTimeField(blank=True, null=True)),
                        ('checkout', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='orders', to='shopping.checkout')),
                        ('merchant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='orders', to='identity.organization')),
                        ('shopper', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='orders', to='shopping.shopper')),
                    ],
                    options={
                        'ordering': ['-placed_at'],
                        'indexes': [models.Index(fields=['shopper', '-placed_at'], name='order_by_shopper'), models.Index(fields=['merchant', '-placed_at'], name='order_by_merchant')],
                        'constraints': [models.UniqueConstraint(fields=('checkout', 'merchant'), name='one_order_per_merchant_and_checkout')],
                    },
                ),
                migrations.CreateModel(
                    name='OrderDispute',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('processor_ref', models.CharField(help_text="the processor's dispute", max_length=80)),
                        ('status', models.CharField(choices=[('open', 'Not decided'), ('lost', 'Lost'), ('won', 'Won')], default='open', max_length=4)),
                        ('amount_micros', models.BigIntegerField(help_text="this order's part")),
                        ('opened_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('order', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='disputes', to='shopping.order')),
                    ],
                    options={
                        'ordering': ['opened_at'],
                        'constraints': [models.UniqueConstraint(fields=('order', 'processor_ref'), name='one_dispute_part_per_order')],
                    },
                ),
                migrations.CreateModel(
                    name='OrderStatusChange',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('from_status', models.CharField(blank=True, max_length=13)),
                        ('to_status', models.CharField(max_length=13)),
                        ('reason', models.CharField(blank=True, max_length=200)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('order', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='status_changes', to='shopping.order')),
                    ],
                    options={
                        'ordering': ['at', 'id'],
                    },
                ),
                migrations.CreateModel(
                    name='Refund',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('status', models.CharField(choices=[('requested', 'Asked for'), ('granted', 'On its way'), ('done', 'Sent back'), ('declined', 'Declined'), ('failed', 'Failed')], default='requested', max_length=10)),
                        ('amount_micros', models.BigIntegerField()),
                        ('processor_ref', models.CharField(blank=True, max_length=80)),
                        ('reason', models.CharField(max_length=200)),
                        ('requested_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('done_at', models.DateTimeField(blank=True, null=True)),
                        ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('order', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='refunds', to='shopping.order')),
                    ],
                    options={
                        'ordering': ['-requested_at'],
                        'constraints': [models.UniqueConstraint(condition=models.Q(('processor_ref', ''), _negated=True), fields=('processor_ref',), name='one_refund_per_ref')],
                    },
                ),
                migrations.CreateModel(
                    name='RefundStatusChange',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('from_status', models.CharField(blank=True, max_length=10)),
                        ('to_status', models.CharField(max_length=10)),
                        ('reason', models.CharField(blank=True, max_length=200)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('refund', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='status_changes', to='shopping.refund')),
                    ],
                    options={
                        'ordering': ['at', 'id'],
                    },
                ),
                migrations.CreateModel(
                    name='Turn',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('index', models.PositiveIntegerField(help_text='from 0 within the conversation')),
                        ('status', models.CharField(choices=[('running', 'Running'), ('done', 'Done'), ('stopped', 'Stopped by the shopper'), ('failed', 'Failed')], default='running', max_length=8)),
                        ('lease_owner', models.CharField(blank=True, help_text='host and pid that run it', max_length=64)),
                        ('lease_until', models.DateTimeField(blank=True, null=True)),
                        ('fault', models.CharField(blank=True, help_text='agent or platform, when it failed', max_length=10)),
                        ('failure', models.CharField(blank=True, help_text='typed code, when it failed', max_length=60)),
                        ('started_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('first_event_ms', models.PositiveIntegerField(help_text='until the first event of the agent', null=True)),
                        ('ended_at', models.DateTimeField(blank=True, null=True)),
                        ('conversation', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='turns', to='shopping.conversation')),
                        ('failure_detail', models.CharField(blank=True, help_text='what exactly was seen, when it failed; for the developer', max_length=300)),
                        ('log_tail', models.TextField(blank=True, help_text="the end of the agent's log when it failed, without the shopper's words")),
                        ('strain', models.JSONField(blank=True, default=dict, help_text='what its sandbox ran into, when it failed')),
                    ],
                    options={
                        'ordering': ['index'],
                        'indexes': [models.Index(condition=models.Q(('status', 'running')), fields=['lease_until'], name='turn_leases'), models.Index(condition=models.Q(('status', 'failed')), fields=['ended_at'], name='turn_failures')],
                        'constraints': [models.UniqueConstraint(fields=('conversation', 'index'), name='one_turn_per_index'), models.UniqueConstraint(condition=models.Q(('status', 'running')), fields=('conversation',), name='one_running_turn')],
                    },
                ),
                migrations.CreateModel(
                    name='ConversationStatusChange',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('from_status', models.CharField(blank=True, max_length=8)),
                        ('to_status', models.CharField(max_length=8)),
                        ('by', models.CharField(help_text='shopper, runner, reaper or platform', max_length=20)),
                        ('reason', models.CharField(blank=True, max_length=200)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('conversation', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='status_changes', to='shopping.conversation')),
                        ('turn', models.ForeignKey(help_text='empty: the conversation itself', null=True, on_delete=django.db.models.deletion.CASCADE, related_name='status_changes', to='shopping.turn')),
                    ],
                    options={
                        'ordering': ['at', 'id'],
                    },
                ),
                migrations.CreateModel(
                    name='Message',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('role', models.CharField(choices=[('shopper', 'Shopper'), ('agent', 'Agent')], max_length=8)),
                        ('text', models.TextField()),
                        ('masked', models.JSONField(blank=True, default=list, help_text='kinds of personal data that were masked')),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('conversation', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='messages', to='shopping.conversation')),
                        ('turn', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='messages', to='shopping.turn')),
                    ],
                    options={
                        'ordering': ['at', 'id'],
                        'constraints': [models.UniqueConstraint(fields=('turn', 'role'), name='one_message_each_per_turn')],
                    },
                ),
                migrations.CreateModel(
                    name='NegotiationRound',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('number', models.PositiveSmallIntegerField(help_text='from 1; the one after the last takes its counter')),
                        ('quantity', models.PositiveIntegerField()),
                        ('proposed_micros', models.BigIntegerField()),
                        ('argument', models.TextField(blank=True, help_text="the agent's words; shown as text")),
                        ('kind', models.CharField(choices=[('accept', 'Accepted'), ('counter', 'Countered')], max_length=7)),
                        ('answered_micros', models.BigIntegerField(help_text='what one piece costs by the answer')),
                        ('price_micros', models.BigIntegerField(help_text="the offer's own price then")),
                        ('currency', models.CharField(max_length=3)),
                        ('rounds_left', models.PositiveSmallIntegerField()),
                        ('terms', models.JSONField(help_text='what the rule allowed then')),
                        ('key', models.CharField(blank=True, help_text="the agent's idempotency key", max_length=80)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('negotiation', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='rounds', to='shopping.negotiation')),
                        ('rule', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='shopping.negotiationrule')),
                        ('rule_version', models.ForeignKey(help_text='the rule as it stood', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='shopping.negotiationrulechange')),
                        ('turn', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='rounds', to='shopping.turn')),
                    ],
                    options={
                        'ordering': ['at', 'id'],
                        'constraints': [models.UniqueConstraint(fields=('negotiation', 'number'), name='one_round_per_number'), models.UniqueConstraint(condition=models.Q(('key', ''), _negated=True), fields=('negotiation', 'key'), name='one_round_per_key'), models.CheckConstraint(condition=models.Q(('answered_micros__gt', 0), ('answered_micros__lte', models.F('price_micros'))), name='answered_within_the_price')],
                    },
                ),
                migrations.CreateModel(
                    name='Quote',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('least_quantity', models.PositiveIntegerField(help_text='fewer have not been agreed on')),
                        ('quantity', models.PositiveIntegerField(help_text='at most so many')),
                        ('unit_price_micros', models.BigIntegerField(help_text='of one piece')),
                        ('price_micros', models.BigIntegerField(help_text="the offer's own price of one then")),
                        ('currency', models.CharField(max_length=3)),
                        ('made_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('expires_at', models.DateTimeField()),
                        ('used_at', models.DateTimeField(blank=True, help_text='when that checkout was paid', null=True)),
                        ('checkout', models.ForeignKey(help_text='which uses it; none again when that comes to nothing', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='quotes', to='shopping.checkout')),
                        ('conversation', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='quotes', to='shopping.conversation')),
                        ('offer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='catalog.offer')),
                        ('round', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='quote', to='shopping.negotiationround')),
                        ('code', models.CharField(default=marketplace.shopping.models.quote.new_code, help_text='what the shopper hands to a platform; no agent is told', max_length=30, null=True, unique=True)),
                    ],
                    options={
                        'ordering': ['made_at', 'id'],
                        'indexes': [models.Index(fields=['conversation', 'offer'], name='quote_by_offer')],
                        'constraints': [models.CheckConstraint(condition=models.Q(('unit_price_micros__gt', 0), ('unit_price_micros__lte', models.F('price_micros'))), name='quote_within_the_price'), models.CheckConstraint(condition=models.Q(('least_quantity__gte', 1), ('least_quantity__lte', models.F('quantity'))), name='quote_of_some_pieces'), models.CheckConstraint(condition=models.Q(('used_at', None), ('checkout__isnull', False), _connector='OR'), name='used_by_a_checkout')],
                    },
                ),
                migrations.CreateModel(
                    name='Recommendation',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('status', models.CharField(choices=[('shown', 'Shown'), ('refused', 'Refused')], max_length=8)),
                        ('claimed_variant', models.CharField(help_text='the id as the agent gave it', max_length=80)),
                        ('reason', models.TextField(help_text="why, in the agent's words; shown as text")),
                        ('refusal', models.CharField(blank=True, help_text='typed code, when refused', max_length=60)),
                        ('merchant_id', models.UUIDField(help_text='of a refused claim too, where there is such an offer', null=True)),
                        ('price_micros', models.BigIntegerField(null=True)),
                        ('list_price_micros', models.BigIntegerField(help_text='before the sale, if on sale', null=True)),
                        ('currency', models.CharField(blank=True, max_length=3)),
                        ('sponsored', models.BooleanField(default=False, help_text='its conversation earns PPCv from this merchant')),
                        ('disclosure', models.JSONField(default=dict, help_text='what the store and the developer earn, for the shopper')),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('conversation', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='recommendations', to='shopping.conversation')),
                        ('offer', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='catalog.offer')),
                        ('variant', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='catalog.variant')),
                        ('turn', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='recommendations', to='shopping.turn')),
                    ],
                    options={
                        'ordering': ['at', 'id'],
                        'indexes': [models.Index(fields=['merchant_id', '-at'], name='recommendation_by_merchant'), django.contrib.postgres.indexes.BrinIndex(autosummarize=True, fields=['at'], name='recommendation_by_day')],
                        'constraints': [models.UniqueConstraint(condition=models.Q(('status', 'shown')), fields=('conversation', 'variant'), name='one_card_per_variant'), models.CheckConstraint(condition=models.Q(models.Q(('refusal__gt', ''), ('status', 'refused')), models.Q(('offer__isnull', False), ('price_micros__gt', 0), ('status', 'shown'), ('variant__isnull', False)), _connector='OR'), name='shown_is_grounded')],
                    },
                ),
                migrations.CreateModel(
                    name='CartLine',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('quantity', models.PositiveIntegerField(default=1)),
                        ('seen_price_micros', models.BigIntegerField()),
                        ('added_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('cart', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='lines', to='shopping.cart')),
                        ('offer', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='catalog.offer')),
                        ('recommendation', models.ForeignKey(help_text='the card it came from', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='shopping.recommendation')),
                    ],
                    options={
                        'ordering': ['id'],
                        'constraints': [models.UniqueConstraint(fields=('cart', 'offer'), name='one_line_per_offer'), models.CheckConstraint(condition=models.Q(('quantity__range', (1, 99))), name='cart_quantity_1_to_99')],
                    },
                ),
                migrations.CreateModel(
                    name='OrderLine',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('title', models.CharField(max_length=300)),
                        ('category', models.CharField(blank=True, max_length=160)),
                        ('quantity', models.PositiveIntegerField()),
                        ('unit_price_micros', models.BigIntegerField(help_text='what was paid for one')),
                        ('offer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='catalog.offer')),
                        ('order', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='lines', to='shopping.order')),
                        ('recommendation', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='shopping.recommendation')),
                        ('list_price_micros', models.BigIntegerField(help_text="the offer's own price of one then; unknown of lines from before negotiations", null=True)),
                        ('quote', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='shopping.quote')),
                    ],
                    options={
                        'ordering': ['id'],
                        'constraints': [models.CheckConstraint(condition=models.Q(('list_price_micros', None), models.Q(('quote', None), ('unit_price_micros', models.F('list_price_micros'))), models.Q(('quote__isnull', False), ('unit_price_micros__lt', models.F('list_price_micros'))), _connector='OR'), name='only_a_quote_goes_below')],
                    },
                ),
                migrations.CreateModel(
                    name='Attribution',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('rule', models.CharField(choices=[('card', "Bought from the agent's card"), ('quote', 'Bought at a price that the agent negotiated'), ('same_variant', 'The agent recommended it within the attribution window')], max_length=14)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('conversation', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='attributions', to='shopping.conversation')),
                        ('line', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='attribution', to='shopping.orderline')),
                        ('recommendation', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='attributions', to='shopping.recommendation')),
                    ],
                ),
                migrations.CreateModel(
                    name='RefundLine',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('quantity', models.PositiveIntegerField()),
                        ('amount_micros', models.BigIntegerField()),
                        ('line', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='refund_lines', to='shopping.orderline')),
                        ('refund', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='lines', to='shopping.refund')),
                    ],
                    options={
                        'constraints': [models.UniqueConstraint(fields=('refund', 'line'), name='one_refund_line_each')],
                    },
                ),
                migrations.CreateModel(
                    name='ToolCall',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('tool', models.CharField(max_length=40)),
                        ('transport', models.CharField(help_text='rest, mcp or model', max_length=6)),
                        ('arguments', models.JSONField(default=dict)),
                        ('outcome', models.CharField(help_text='ok, or the code of the refusal', max_length=60)),
                        ('result', models.JSONField(default=dict, help_text='what was answered, shortened')),
                        ('duration_ms', models.PositiveIntegerField()),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('conversation', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='tool_calls', to='shopping.conversation')),
                        ('turn', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='tool_calls', to='shopping.turn')),
                    ],
                    options={
                        'ordering': ['id'],
                        'indexes': [models.Index(fields=['conversation', 'id'], name='tool_call_trace')],
                    },
                ),
                migrations.CreateModel(
                    name='UcpCart',
                    fields=[
                        ('platform', models.CharField(max_length=300)),
                        ('signed', models.BooleanField(default=False)),
                        ('lines', models.JSONField(default=list, help_text='id, item, offer and quantity of each line')),
                        ('buyer', models.JSONField(blank=True, default=dict)),
                        ('context', models.JSONField(blank=True, default=dict)),
                        ('created_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('expires_at', models.DateTimeField()),
                        ('id', models.CharField(default=marketplace.shopping.models.ucp.new_cart_id, editable=False, max_length=40, primary_key=True, serialize=False)),
                        ('canceled_at', models.DateTimeField(blank=True, null=True)),
                        ('codes', models.JSONField(blank=True, db_default=[], default=list, help_text='discount codes, as they were sent')),
                    ],
                    options={
                        'indexes': [models.Index(fields=['expires_at'], name='ucp_cart_expiry')],
                    },
                ),
                migrations.CreateModel(
                    name='UcpCheckout',
                    fields=[
                        ('platform', models.CharField(max_length=300)),
                        ('signed', models.BooleanField(default=False)),
                        ('lines', models.JSONField(default=list, help_text='id, item, offer and quantity of each line')),
                        ('buyer', models.JSONField(blank=True, default=dict)),
                        ('context', models.JSONField(blank=True, default=dict)),
                        ('created_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('expires_at', models.DateTimeField()),
                        ('id', models.CharField(default=marketplace.shopping.models.ucp.new_session_id, editable=False, max_length=40, primary_key=True, serialize=False)),
                        ('status', models.CharField(choices=[('open', 'Being filled in'), ('paying', 'Payment under way'), ('escalated', 'Handed to the buyer'), ('completed', 'Bought'), ('canceled', 'Given up')], default='open', max_length=9)),
                        ('destination', models.JSONField(blank=True, default=dict, help_text='a postal address with its id')),
                        ('method_id', models.CharField(default='shipping', max_length=60)),
                        ('messages', models.JSONField(blank=True, default=list, help_text='what the last attempt to pay came to')),
                        ('paying_since', models.DateTimeField(blank=True, null=True)),
                        ('confirmed_at', models.DateTimeField(blank=True, help_text='when the buyer was mailed', null=True)),
                        ('cart', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='checkouts', to='shopping.ucpcart')),
                        ('purchase', models.OneToOneField(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='ucp', to='shopping.checkout')),
                        ('shopper', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='shopping.shopper')),
                        ('codes', models.JSONField(blank=True, db_default=[], default=list, help_text='discount codes, as they were sent')),
                        ('applied', models.JSONField(blank=True, db_default=[], default=list, help_text='the codes that counted when the platform was last answered')),
                        ('told_minor', models.BigIntegerField(help_text='the total that the platform was last told', null=True)),
                    ],
                    options={
                        'indexes': [models.Index(fields=['expires_at'], name='ucp_checkout_expiry')],
                    },
                ),
                migrations.CreateModel(
                    name='UcpCheckoutChange',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('from_status', models.CharField(blank=True, max_length=9)),
                        ('to_status', models.CharField(max_length=9)),
                        ('reason', models.CharField(blank=True, max_length=200)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('checkout', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='changes', to='shopping.ucpcheckout')),
                    ],
                    options={
                        'ordering': ['at', 'id'],
                    },
                ),
                migrations.CreateModel(
                    name='UcpOrderEvent',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('event_id', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                        ('platform', models.CharField(max_length=300)),
                        ('kind', models.CharField(choices=[('created', 'Paid'), ('refund', 'Refund'), ('dispute', 'Dispute')], max_length=8)),
                        ('status', models.CharField(choices=[('pending', 'To be sent'), ('delivered', 'Delivered'), ('given_up', 'Given up'), ('unwanted', 'Not asked for')], default='pending', max_length=9)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('since', models.DateTimeField(default=agentstore.kit.clock.now, help_text='when sending it began, or began anew')),
                        ('due_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('attempts', models.PositiveIntegerField(default=0)),
                        ('last_error', models.CharField(blank=True, max_length=200)),
                        ('body', models.TextField(blank=True)),
                        ('order', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='ucp_events', to='shopping.order')),
                    ],
                    options={
                        'verbose_name': 'UCP order event',
                        'ordering': ['-id'],
                        'indexes': [models.Index(condition=models.Q(('status', 'pending')), fields=['platform', 'due_at'], name='order_event_due'), models.Index(fields=['order', 'id'], name='order_event_order')],
                    },
                ),
                migrations.CreateModel(
                    name='UcpOrderEventChange',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('from_status', models.CharField(max_length=9)),
                        ('to_status', models.CharField(max_length=9)),
                        ('reason', models.CharField(blank=True, max_length=200)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('event', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='changes', to='shopping.ucporderevent')),
                    ],
                    options={
                        'ordering': ['at', 'id'],
                    },
                ),
                migrations.CreateModel(
                    name='UcpPlatform',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('profile', models.CharField(help_text='the https address of its UCP profile', max_length=300, unique=True)),
                        ('keys', models.JSONField(default=list, help_text='its public keys, as JWK')),
                        ('must_sign', models.BooleanField(default=False, help_text='refuse what it does not sign')),
                        ('added_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                    ],
                    options={
                        'verbose_name': 'UCP platform',
                        'ordering': ['profile'],
                    },
                ),
                migrations.CreateModel(
                    name='UcpProfile',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('profile', models.CharField(help_text='the address it was fetched from', max_length=300, unique=True)),
                        ('version', models.CharField(help_text='of UCP, as it declares', max_length=10)),
                        ('capabilities', models.JSONField(default=dict, help_text='the versions of each capability by its name')),
                        ('keys', models.JSONField(default=list, help_text='its public keys, as JWK')),
                        ('webhook_url', models.CharField(blank=True, help_text="where it wants orders' events", max_length=1000)),
                        ('etag', models.CharField(blank=True, max_length=200)),
                        ('fetched_at', models.DateTimeField(db_index=True, default=agentstore.kit.clock.now)),
                        ('fresh_until', models.DateTimeField()),
                        ('added_at', models.DateTimeField(db_index=True, default=agentstore.kit.clock.now)),
                    ],
                    options={
                        'verbose_name': 'fetched UCP profile',
                        'ordering': ['profile'],
                    },
                ),
                migrations.CreateModel(
                    name='UcpReply',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('platform', models.CharField(max_length=300)),
                        ('key', models.CharField(max_length=200)),
                        ('digest', models.CharField(help_text='of operation, target and arguments', max_length=64)),
                        ('status', models.PositiveSmallIntegerField(null=True)),
                        ('body', models.JSONField(null=True)),
                        ('at', models.DateTimeField(db_index=True, default=agentstore.kit.clock.now)),
                    ],
                    options={
                        'constraints': [models.UniqueConstraint(fields=('platform', 'key'), name='one_ucp_reply_per_key')],
                    },
                ),
            ],
        ),
    ]
