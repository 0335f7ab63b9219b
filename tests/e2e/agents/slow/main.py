"""An agent that can be killed in the middle of a turn: it recommends at once and goes on talking for long."""

from __future__ import annotations

import time
from collections.abc import Iterator

from agentstore_sdk import Turn, serve


def answer(turn: Turn) -> Iterator[str]:
    """One card, then a word every now and then; to the point when asked to be brief."""
    found = turn.store.call("search_catalog", query="", filters={"price": {"min": 200, "max": 1500}})
    variant = next(product["variants"][0] for product in found["products"])
    turn.store.recommend(variant["id"], reason="It is the first that I found.")
    yield "I found something."
    if "slowly" in turn.prompt:
        for _ in range(150):
            time.sleep(0.2)
            yield " Hm."


if __name__ == "__main__":
    serve(answer)
