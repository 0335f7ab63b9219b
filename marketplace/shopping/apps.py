from django.apps import AppConfig


class ShoppingConfig(AppConfig):
    name = "marketplace.shopping"
    label = "shopping"
    default_auto_field = "django.db.models.BigAutoField"
