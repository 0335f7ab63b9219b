"""Agents, versions, submissions, reviews and advisories."""

from __future__ import annotations

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import agentstore.kit.clock
import agentstore.kit.ids
from agentstore.kit.migrations import CreateModels


class Migration(migrations.Migration):

    replaces = [
        ('publishing', '0001_agents_versions_and_reviews'),
        ('publishing', '0002_advisories'),
    ]

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ('identity', '0001_squashed_0003_access_tokens'),
    ]

    operations = [
        CreateModels(
            models=[
                migrations.CreateModel(
                    name='Advisory',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('ref', models.CharField(help_text='for example GHSA-… or CVE-…', max_length=80)),
                        ('ecosystem', models.CharField(help_text='PyPI, npm, Debian:12 …', max_length=60)),
                        ('package', models.CharField(max_length=214)),
                        ('severity', models.CharField(max_length=8)),
                        ('summary', models.CharField(blank=True, max_length=300)),
                        ('affected', models.JSONField(help_text="OSV's ranges and versions")),
                        ('loaded_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                    ],
                    options={
                        'indexes': [models.Index(fields=['ecosystem', 'package'], name='advisory_by_package')],
                        'constraints': [models.UniqueConstraint(fields=('ref', 'ecosystem', 'package'), name='one_advisory_per_package')],
                    },
                ),
                migrations.CreateModel(
                    name='Agent',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('slug', models.SlugField(max_length=60, unique=True)),
                        ('name', models.CharField(max_length=80)),
                        ('tagline', models.CharField(max_length=160)),
                        ('description', models.TextField(blank=True)),
                        ('categories', django.contrib.postgres.fields.ArrayField(base_field=models.SlugField(max_length=60), blank=True, default=list, size=None)),
                        ('status', models.CharField(choices=[('draft', 'Not yet live'), ('listed', 'Live'), ('suspended', 'Suspended')], default='draft', max_length=10)),
                        ('created_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('developer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='agents', to='identity.organization')),
                        ('live_version', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='live_for', to='publishing.version')),
                    ],
                    options={
                        'ordering': ['name'],
                        'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('status', 'listed'), _negated=True), ('live_version__isnull', False), _connector='OR'), name='listed_agent_has_live_version')],
                    },
                ),
                migrations.CreateModel(
                    name='Version',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('semver', models.CharField(help_text='semver.org 2.0.0', max_length=40)),
                        ('manifest', models.JSONField(help_text='agent.toml as validated')),
                        ('image_id', models.CharField(help_text="the engine's content id, sha256:…", max_length=80)),
                        ('bundle_sha256', models.CharField(max_length=64)),
                        ('notes', models.TextField(blank=True)),
                        ('status', models.CharField(choices=[('candidate', 'In review'), ('live', 'Live'), ('retired', 'Retired'), ('failed', 'Checks failed'), ('rejected', 'Rejected')], default='candidate', max_length=10)),
                        ('created_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('agent', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='versions', to='publishing.agent')),
                    ],
                    options={
                        'ordering': ['-created_at'],
                        'constraints': [models.UniqueConstraint(condition=models.Q(('status__in', ['failed', 'rejected']), _negated=True), fields=('agent', 'semver'), name='one_build_per_semver'), models.UniqueConstraint(condition=models.Q(('status', 'live')), fields=('agent',), name='one_live_version_per_agent')],
                    },
                ),
                migrations.CreateModel(
                    name='Submission',
                    fields=[
                        ('id', models.UUIDField(default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False)),
                        ('filename', models.CharField(max_length=200)),
                        ('bundle_sha256', models.CharField(help_text='names the stored bundle by its content', max_length=64)),
                        ('size', models.BigIntegerField(help_text='bytes')),
                        ('notes', models.TextField(blank=True)),
                        ('kind', models.CharField(blank=True, help_text='source or image, once it was unpacked', max_length=6)),
                        ('status', models.CharField(choices=[('received', 'Unpacking'), ('building', 'Building the image'), ('checking', 'Starting it in a sandbox'), ('rehearsing', 'Rehearsing a conversation'), ('in_review', 'Waiting for an operator'), ('failed', 'Checks failed'), ('approved', 'Approved'), ('rejected', 'Rejected')], default='received', max_length=12)),
                        ('created_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('due_at', models.DateTimeField(default=agentstore.kit.clock.now, help_text='not to be taken up before; a worker that takes it moves this on as its lease')),
                        ('attempts', models.PositiveSmallIntegerField(default=0, help_text='of the present step')),
                        ('trouble', models.TextField(blank=True, help_text='what on our side keeps it waiting, in words')),
                        ('organization', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='submissions', to='identity.organization')),
                        ('submitted_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('version', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='submission', to='publishing.version')),
                    ],
                    options={
                        'ordering': ['-created_at'],
                        'indexes': [models.Index(condition=models.Q(('status__in', ['received', 'building', 'checking', 'rehearsing'])), fields=['due_at'], name='submission_open_due')],
                        'constraints': [models.UniqueConstraint(condition=models.Q(('status__in', ['received', 'building', 'checking', 'rehearsing'])), fields=('organization', 'bundle_sha256'), name='one_open_submission_per_bundle')],
                    },
                ),
                migrations.CreateModel(
                    name='Check',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('name', models.SlugField(max_length=60)),
                        ('passed', models.BooleanField()),
                        ('detail', models.TextField(help_text='what was found, for the developer')),
                        ('evidence', models.JSONField(blank=True, default=dict)),
                        ('duration_ms', models.PositiveIntegerField(null=True)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('submission', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='checks', to='publishing.submission')),
                    ],
                    options={
                        'ordering': ['id'],
                        'constraints': [models.UniqueConstraint(fields=('submission', 'name'), name='one_result_per_check')],
                    },
                ),
                migrations.CreateModel(
                    name='Notice',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('kind', models.CharField(choices=[('verdict', 'Verdict'), ('decision', 'Decision')], max_length=8)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('submission', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='notices', to='publishing.submission')),
                    ],
                    options={
                        'constraints': [models.UniqueConstraint(fields=('submission', 'kind'), name='one_mail_of_each_kind')],
                    },
                ),
                migrations.CreateModel(
                    name='ReviewItem',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('reason', models.CharField(max_length=200)),
                        ('entered_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('due_at', models.DateTimeField()),
                        ('exited_at', models.DateTimeField(blank=True, null=True)),
                        ('decision', models.CharField(blank=True, choices=[('approved', 'Approved'), ('rejected', 'Rejected')], max_length=10)),
                        ('note', models.TextField(blank=True)),
                        ('decided_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('submission', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='review_item', to='publishing.submission')),
                    ],
                    options={
                        'ordering': ['due_at'],
                        'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('decision', ''), ('exited_at__isnull', True)), models.Q(('decided_by__isnull', False), ('exited_at__isnull', False), models.Q(('decision', ''), _negated=True)), _connector='OR'), name='review_exit_is_a_decision')],
                    },
                ),
                migrations.CreateModel(
                    name='StatusChange',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('from_status', models.CharField(blank=True, max_length=12)),
                        ('to_status', models.CharField(max_length=12)),
                        ('reason', models.TextField(blank=True)),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('agent', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='status_changes', to='publishing.agent')),
                        ('by', models.ForeignKey(help_text='empty: the platform itself', null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('submission', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='status_changes', to='publishing.submission')),
                        ('version', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='status_changes', to='publishing.version')),
                    ],
                    options={
                        'ordering': ['at', 'id'],
                        'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('agent__isnull', False), ('submission__isnull', True), ('version__isnull', True)), models.Q(('agent__isnull', True), ('submission__isnull', True), ('version__isnull', False)), models.Q(('agent__isnull', True), ('submission__isnull', False), ('version__isnull', True)), _connector='OR'), name='status_change_has_one_subject')],
                    },
                ),
                migrations.CreateModel(
                    name='Verdict',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('passed', models.BooleanField()),
                        ('summary', models.TextField()),
                        ('at', models.DateTimeField(default=agentstore.kit.clock.now)),
                        ('submission', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='verdict', to='publishing.submission')),
                    ],
                ),
            ],
        ),
    ]
