"""Tasks by the names that the beat and other rooms know them by."""

from marketplace.shopping.tasks.conversations import reap_turns, rehearse_submission

__all__ = ["reap_turns", "rehearse_submission"]
