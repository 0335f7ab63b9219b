import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import agentstore.kit.clock
import agentstore.kit.ids


class Migration(migrations.Migration):
    dependencies = [("identity", "0002_membership_events_and_invitations")]

    operations = [
        migrations.CreateModel(
            name="AccessToken",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=agentstore.kit.ids.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("name", models.CharField(help_text="what it is for", max_length=80)),
                (
                    "digest",
                    models.CharField(help_text="SHA-256 of the secret", max_length=64, unique=True),
                ),
                (
                    "start",
                    models.CharField(help_text="its first characters, to tell it apart", max_length=10),
                ),
                ("issued_at", models.DateTimeField(default=agentstore.kit.clock.now)),
                ("used_at", models.DateTimeField(blank=True, help_text="to the minute", null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                (
                    "issued_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="access_tokens",
                        to="identity.organization",
                    ),
                ),
                (
                    "revoked_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={"ordering": ["-issued_at"]},
        ),
    ]
