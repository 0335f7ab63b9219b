from django.apps import AppConfig


class AgentStoreConfig(AppConfig):
    """The wiring itself: it has system checks and commands, no models."""

    name = "agentstore"

    def ready(self) -> None:
        from agentstore import checks  # noqa: F401  (registers them)
