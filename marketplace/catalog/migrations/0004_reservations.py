import django.db.models.deletion
import django.db.models.functions.comparison
from django.db import migrations, models

import agentstore.kit.clock


class Migration(migrations.Migration):
    dependencies = [("catalog", "0003_journal_dry_runs_and_roll_backs")]

    operations = [
        migrations.RemoveConstraint(model_name="offer", name="stock_not_negative"),
        migrations.RemoveIndex(model_name="offer", name="offer_by_merchant_stock"),
        migrations.RenameField(model_name="offer", old_name="stock", new_name="on_hand"),
        migrations.AlterField(
            model_name="offer",
            name="on_hand",
            field=models.IntegerField(default=0, help_text="what the merchant has, as it says"),
        ),
        migrations.AddField(
            model_name="offer",
            name="reserved",
            field=models.IntegerField(default=0, help_text="held by checkouts that are not paid yet"),
        ),
        migrations.AddField(
            model_name="offer",
            name="stock",
            field=models.GeneratedField(
                db_persist=True,
                expression=django.db.models.functions.comparison.Greatest(
                    models.F("on_hand") - models.F("reserved"), models.Value(0)
                ),
                output_field=models.IntegerField(),
            ),
        ),
        migrations.AddIndex(
            model_name="offer",
            index=models.Index(fields=["merchant", "stock"], name="offer_by_merchant_stock"),
        ),
        migrations.AddConstraint(
            model_name="offer",
            constraint=models.CheckConstraint(
                condition=models.Q(("on_hand__gte", 0)), name="on_hand_not_negative"
            ),
        ),
        migrations.AddConstraint(
            model_name="offer",
            constraint=models.CheckConstraint(
                condition=models.Q(("reserved__gte", 0)), name="reserved_not_negative"
            ),
        ),
        migrations.CreateModel(
            name="Reservation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "holder",
                    models.CharField(help_text="an opaque reference, as `checkout:<uuid>`", max_length=80),
                ),
                ("quantity", models.PositiveIntegerField()),
                (
                    "status",
                    models.CharField(
                        choices=[("held", "Held"), ("bought", "Bought"), ("released", "Released")],
                        default="held",
                        max_length=8,
                    ),
                ),
                ("held_at", models.DateTimeField(default=agentstore.kit.clock.now)),
                (
                    "held_until",
                    models.DateTimeField(help_text="when its holder will give it up; the holder does so"),
                ),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                (
                    "offer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reservations",
                        to="catalog.offer",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "constraints": [
                    models.UniqueConstraint(fields=("holder", "offer"), name="one_reservation_per_offer"),
                    models.CheckConstraint(
                        condition=models.Q(("quantity__gt", 0)), name="reservation_of_something"
                    ),
                ],
            },
        ),
    ]
