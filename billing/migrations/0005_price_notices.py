"""Notices to organizations; whoever was subject to prices until now knows them."""

from __future__ import annotations

from django.db import migrations, models

import agentstore.kit.clock


class Migration(migrations.Migration):

    dependencies = [
        ('billing', "0004_statements_and_invoices"),
    ]

    operations = [
        migrations.AddField(
            model_name='priceversion',
            name='told_at',
            field=models.DateTimeField(blank=True, help_text='when organizations were told of it', null=True),
        ),
        migrations.CreateModel(
            name='Notice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(help_text='what it is about: told once', max_length=200)),
                ('owner_ref', models.CharField(max_length=64)),
                ('subject', models.CharField(max_length=150)),
                ('text', models.TextField()),
                ('path', models.CharField(blank=True, help_text='the page in the store that it leads to', max_length=200)),
                ('created_at', models.DateTimeField(default=agentstore.kit.clock.now)),
                ('sent_at', models.DateTimeField(blank=True, null=True)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('retry_at', models.DateTimeField(default=agentstore.kit.clock.now, help_text='not tried again before this')),
            ],
            options={
                'ordering': ['-created_at', '-id'],
                'indexes': [models.Index(condition=models.Q(('sent_at__isnull', True)), fields=['retry_at'], name='notice_unsent'), models.Index(fields=['owner_ref', '-created_at'], name='notice_by_owner')],
                'constraints': [models.UniqueConstraint(fields=('key',), name='each_notice_once')],
            },
        ),
        migrations.RunSQL(
            "UPDATE billing_priceversion SET told_at = announced_at"
            " WHERE status IN ('announced', 'in_force', 'superseded')",
            migrations.RunSQL.noop,
        ),
    ]
