from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("catalog", "0012_attempts_of_imports")]

    operations = [
        migrations.AlterField(
            "category", "slug", models.SlugField(allow_unicode=True, max_length=160, unique=True)
        ),
    ]
