"""An agent to start from: shows the best match for what the shopper said."""

from collections.abc import Iterator

from agentstore_sdk import Refused, Turn, serve


def answer(turn: Turn) -> Iterator[str]:
    """Say something about what was found, and recommend the first product that may be shown."""
    found = turn.store.search_catalog(turn.prompt, currency=turn.currency, limit=5)
    for product in found.products:
        try:
            turn.store.recommend(
                product.variants[0].id, reason="It is the closest match to what you asked for."
            )
        except Refused:
            continue
        yield f"{product.title} is the closest match to what you asked for."
        return
    yield "I found nothing that fits. Could you say it in other words?"


if __name__ == "__main__":
    serve(answer)
