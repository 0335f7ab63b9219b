from django.apps import AppConfig


class ShoppingConfig(AppConfig):
    name = "marketplace.shopping"
    label = "shopping"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Say to the money pages what fees were for."""
        from billing.charges.words import register_teller

        register_teller("marketplace.shopping.billed.tell_subjects")
