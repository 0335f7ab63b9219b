from django.apps import AppConfig


class RankingConfig(AppConfig):
    name = "marketplace.ranking"
    label = "ranking"
    default_auto_field = "django.db.models.BigAutoField"
