"""Images, sandboxes, hosts and their places."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

import agentstore.kit.clock
import agentstore.kit.ids
from agentstore.kit.migrations import CreateModels


class Migration(migrations.Migration):

    replaces = [
        ('sandbox', '0001_images_sandboxes_and_pool_targets'),
        ('sandbox', '0002_image_layers_and_their_use'),
        ('sandbox', '0003_hosts_and_places'),
        ('sandbox', '0004_failures_of_a_tenant'),
    ]

    initial = True

    dependencies = [
    ]

    operations = [
        CreateModels(
            models=[
                migrations.CreateModel(
                    name='Host',
                    fields=[
                        ('name', models.CharField(max_length=120, primary_key=True, serialize=False)),
                        ('address', models.CharField(blank=True, help_text='host:port of its door server; empty: nobody else reaches it', max_length=200)),
                        ('driver', models.CharField(blank=True, max_length=20)),
                        ('driver_reason', models.CharField(blank=True, help_text='why this driver was chosen', max_length=500)),
                        ('runtimes', models.JSONField(blank=True, default=dict, help_text='the runtime of each level of trust')),
                        ('places', models.PositiveIntegerField(default=0)),
                        ('memory_bytes', models.BigIntegerField(default=0, help_text="what all its sandboxes' limits may add up to")),
                        ('status', models.CharField(choices=[('up', 'Up'), ('draining', 'Draining'), ('lost', 'Lost')], default='up', max_length=8)),
                        ('draining', models.BooleanField(default=False, help_text="the operator's wish, which outlives a loss")),
                        ('refusal', models.CharField(blank=True, help_text='why nothing is started here', max_length=500)),
                        ('findings', models.JSONField(blank=True, default=list)),
                        ('proven_at', models.DateTimeField(blank=True, null=True)),
                        ('heartbeat_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('since', models.DateTimeField(default=agentstore.kit.clock.now, help_text='when its present status began')),
                    ],
                    options={
                        'ordering': ['name'],
                    },
                ),
                migrations.CreateModel(
                    name='HostStatusChange',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('to_status', models.CharField(choices=[('up', 'Up'), ('draining', 'Draining'), ('lost', 'Lost')], max_length=8)),
                        ('by', models.CharField(max_length=60)),
                        ('reason', models.CharField(blank=True, max_length=500)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('host', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='changes', to='sandbox.host')),
                    ],
                    options={
                        'ordering': ['at', 'id'],
                    },
                ),
                migrations.CreateModel(
                    name='Image',
                    fields=[
                        ('image_id', models.CharField(max_length=71, primary_key=True, serialize=False)),
                        ('source', models.CharField(choices=[('base', 'Base image'), ('source', 'Source bundle'), ('archive', 'Image archive')], max_length=8)),
                        ('digest', models.CharField(db_index=True, help_text='SHA-256 of what it was made from', max_length=64)),
                        ('size', models.BigIntegerField(help_text='bytes, all layers')),
                        ('labels', models.JSONField(blank=True, default=dict)),
                        ('facts', models.JSONField(blank=True, default=dict, help_text='what the inspection found')),
                        ('built_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('layers', models.JSONField(blank=True, default=list, help_text='diff ids, the lowest first')),
                        ('used_at', models.DateTimeField(default=agentstore.kit.clock.now, help_text='when a build last gave it out')),
                    ],
                    options={
                        'ordering': ['-built_at'],
                    },
                ),
                migrations.CreateModel(
                    name='Layer',
                    fields=[
                        ('diff_id', models.CharField(max_length=71, primary_key=True, serialize=False)),
                        ('size', models.BigIntegerField(help_text='bytes of its tar')),
                        ('used_at', models.DateTimeField(default=agentstore.kit.clock.now, help_text='when a build last put it or referred to it')),
                    ],
                    options={
                        'ordering': ['-used_at'],
                    },
                ),
                migrations.CreateModel(
                    name='PoolTarget',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('tenant', models.CharField(max_length=100)),
                        ('spec', models.JSONField()),
                        ('spec_key', models.CharField(max_length=32)),
                        ('floor', models.PositiveSmallIntegerField()),
                        ('updated_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('wanted', models.PositiveSmallIntegerField(default=0, help_text='how many its recent demand asks for')),
                    ],
                    options={
                        'ordering': ['tenant'],
                        'constraints': [models.UniqueConstraint(fields=('tenant',), name='one_pool_target_per_tenant')],
                    },
                ),
                migrations.CreateModel(
                    name='Sandbox',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('image_id', models.CharField(max_length=71)),
                        ('tenant', models.CharField(max_length=100)),
                        ('claim_key', models.CharField(blank=True, max_length=100)),
                        ('spec', models.JSONField()),
                        ('spec_key', models.CharField(max_length=32)),
                        ('driver', models.CharField(blank=True, max_length=20)),
                        ('runtime', models.CharField(blank=True, max_length=20)),
                        ('host', models.CharField(blank=True, help_text='the name of the host it was placed on', max_length=120)),
                        ('handle', models.CharField(blank=True, max_length=120)),
                        ('status', models.CharField(choices=[('starting', 'Starting'), ('warm', 'Warm'), ('claimed', 'Claimed'), ('stopped', 'Stopped'), ('failed', 'Failed')], default='starting', max_length=8)),
                        ('token_hash', models.CharField(blank=True, max_length=64)),
                        ('fault', models.CharField(blank=True, choices=[('agent', 'The agent'), ('platform', 'The platform')], max_length=8)),
                        ('failure_code', models.CharField(blank=True, max_length=40)),
                        ('reason', models.CharField(blank=True, max_length=500)),
                        ('log_tail', models.TextField(blank=True)),
                        ('created_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('ready_at', models.DateTimeField(blank=True, null=True)),
                        ('claimed_at', models.DateTimeField(blank=True, null=True)),
                        ('last_used_at', models.DateTimeField(blank=True, null=True)),
                        ('ended_at', models.DateTimeField(blank=True, null=True)),
                        ('removed_at', models.DateTimeField(blank=True, help_text='when nothing of it was left on its host', null=True)),
                        ('begun_at', models.DateTimeField(blank=True, help_text='when its host took its start up', null=True)),
                        ('busy_until', models.DateTimeField(blank=True, help_text='until when a turn may be using it; empty: it rests and may be evicted', null=True)),
                        ('memory_bytes', models.BigIntegerField(default=0, help_text='its limit, which its host sets aside')),
                    ],
                    options={
                        'ordering': ['-created_at'],
                        'indexes': [models.Index(condition=models.Q(('status', 'warm')), fields=['tenant', 'spec_key', 'ready_at'], name='sandbox_warm'), models.Index(condition=models.Q(('status__in', ['starting', 'warm', 'claimed'])), fields=['status', 'created_at'], name='sandbox_live'), models.Index(condition=models.Q(('removed_at', None)), fields=['ended_at'], name='sandbox_unremoved'), models.Index(fields=['claimed_at', 'tenant'], name='sandbox_demand'), models.Index(condition=models.Q(('fault', ''), _negated=True), fields=['ended_at', 'fault'], name='sandbox_failed'), models.Index(condition=models.Q(('status', 'failed')), fields=['tenant', 'ended_at'], name='sandbox_tenant_failed')],
                        'constraints': [models.UniqueConstraint(condition=models.Q(models.Q(('claim_key', ''), _negated=True), ('status__in', ['starting', 'warm', 'claimed'])), fields=('claim_key',), name='one_live_sandbox_per_claim'), models.UniqueConstraint(condition=models.Q(('token_hash', ''), _negated=True), fields=('token_hash',), name='one_sandbox_per_token')],
                    },
                ),
                migrations.CreateModel(
                    name='SandboxStatusChange',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('from_status', models.CharField(blank=True, max_length=8)),
                        ('to_status', models.CharField(choices=[('starting', 'Starting'), ('warm', 'Warm'), ('claimed', 'Claimed'), ('stopped', 'Stopped'), ('failed', 'Failed')], max_length=8)),
                        ('by', models.CharField(max_length=60)),
                        ('reason', models.CharField(blank=True, max_length=500)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('sandbox', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='changes', to='sandbox.sandbox')),
                    ],
                    options={
                        'ordering': ['at', 'id'],
                    },
                ),
                migrations.CreateModel(
                    name='WaitingClaim',
                    fields=[
                        ('claim_key', models.CharField(max_length=100, primary_key=True, serialize=False)),
                        ('tenant', models.CharField(max_length=100)),
                        ('trust', models.CharField(max_length=10)),
                        ('since', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('seen_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                    ],
                    options={
                        'ordering': ['since', 'claim_key'],
                    },
                ),
            ],
        ),
    ]
