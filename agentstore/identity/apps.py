from django.apps import AppConfig


class IdentityConfig(AppConfig):
    """Who people are and which organizations they act for."""

    name = "agentstore.identity"
    label = "identity"
    default_auto_field = "django.db.models.BigAutoField"
