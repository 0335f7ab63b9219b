"""What the beat runs in this room."""

from __future__ import annotations

from celery import shared_task

from marketplace.ranking import conversions, fit


@shared_task(name="marketplace.ranking.tasks.mature_conversions")
def mature_conversions() -> None:
    """Count conversions whose return window has passed."""
    conversions.mature_conversions()


@shared_task(name="marketplace.ranking.tasks.fit_ranking")
def fit_ranking() -> None:
    """Fit the ranking to all that counts."""
    fit.fit_ranking()
