from django.apps import AppConfig


class PublishingConfig(AppConfig):
    name = "marketplace.publishing"
    label = "publishing"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Say to the books how agents are called."""
        from billing.names import register_names
        from marketplace.publishing.names import names_of_agents

        register_names("agent", names_of_agents)
