"""The Django project that joins the rooms."""

from agentstore.celery import app as celery_app

__all__ = ["celery_app"]
