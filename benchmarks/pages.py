"""The store's front and an agent's page over many events, against counting the events on each view.

    python -m benchmarks.pages [--quick] [--json]

Works in a database of its own, made on the server that DATABASE_URL names and dropped at the end. Pages go
through the whole of Django, every request as a new visitor, without a network in between.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

import django

from benchmarks.report import Report, parser, percentile, timed

EVENTS = """
INSERT INTO ranking_exposure (id, agent_id, category, surface, position, slot, propensity, examination,
swapped,
    session_ref, shopper_ref, excluded, at)
SELECT gen_random_uuid(), agents.ids[1 + n %% array_length(agents.ids, 1)],
    (ARRAY['', 'electronics', 'home', 'fashion'])[1 + n %% 4], 'store', 1 + n %% 24, 'ranked', 1,
    power(1 + n %% 24, -0.5), false, 's' || n / 24, '', '',
    now() - interval '31 days' - n %% 300 * interval '1 day'
FROM generate_series(1, %(count)s) AS n,
    (SELECT array_agg(id) AS ids FROM publishing_agent) AS agents
"""
SALES = """
INSERT INTO ranking_conversion (id, line_ref, agent_id, category, buyer_ref, exposure_id, amount_micros,
currency,
    occurred_at, matures_at, status, reason)
SELECT gen_random_uuid(), 'line:' || row_number() OVER (), agent_id, category, session_ref, id, 10000000,
'USD',
    at, at + interval '30 days', 'matured', ''
FROM ranking_exposure WHERE abs(hashtext(id::text)) % 100 < 3
"""


def timings(work: Callable[[], object], times: int) -> list[float]:
    """Milliseconds of each."""
    return [1000 * timed(work) for _ in range(times)]


def seed(agents: int, events: int) -> None:
    """Live agents of one studio, and their history."""
    from django.db import connection

    from agentstore.identity.models import Organization
    from marketplace.publishing.models import Agent, Version

    studio = Organization.objects.create(kind="developer", name="Studio", slug="studio")
    made = Agent.objects.bulk_create(
        Agent(
            developer=studio,
            slug=f"agent-{i}",
            name=f"Agent {i}",
            tagline=f"Finds thing number {i}.",
            categories=[["electronics", "home", "fashion"][i % 3]],
        )
        for i in range(agents)
    )
    versions = Version.objects.bulk_create(
        Version(
            agent=agent,
            semver="1.0.0",
            image_id="sha256:0",
            bundle_sha256="0" * 64,
            status="live",
            manifest={"skills": ["chat"], "permissions": ["catalog"]},
        )
        for agent in made
    )
    for agent, version in zip(made, versions, strict=True):
        agent.live_version, agent.status = version, Agent.Status.LISTED
    Agent.objects.bulk_update(made, ["live_version", "status"])
    with connection.cursor() as cursor:
        cursor.execute(EVENTS, {"count": events})
        cursor.execute(SALES)
        cursor.execute("ANALYZE")


def measure(report: Report, *, agents: int, events: int, views: int) -> None:
    """Fit once, then look at pages."""
    from django.test import Client

    from agentstore.kit.clock import now
    from marketplace.ranking import fit

    seed(agents, events)
    start = time.perf_counter()
    fit.fit_ranking()
    report.add("counting and fitting, once an hour", time.perf_counter() - start, "s", "lower")

    def get(path: str) -> Callable[[], None]:
        def view() -> None:
            answer = Client().get(path)
            assert answer.status_code == 200, answer.status_code

        return view

    for name, path in (
        ("front", "/"),
        ("front, a category", "/?category=home"),
        ("front, a search", "/?q=thing+7"),
        ("agent", "/agents/agent-7/"),
    ):
        get(path)()
        taken = timings(get(path), views)
        report.add(f"{name}, median", statistics.median(taken), "ms", "lower")
        report.add(f"{name}, p95", percentile(taken, 0.95), "ms", "lower", 150)
    counting = timings(lambda: fit.count_events(at=now()), 3)
    front = timings(get("/"), views)
    report.add("counting events at each view, median", statistics.median(counting), "ms", "lower")
    report.add(
        "that over the front", statistics.median(counting) / statistics.median(front), "times", "higher"
    )


def main() -> None:
    """Parse, make the database, measure, drop it."""
    arguments = parser(__doc__ or "").parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentstore.settings")
    os.environ["TEST_DATABASE_NAME"] = f"bench_pages_{os.getpid()}"
    django.setup()
    from django.db import connection

    size = {"agents": 200, "events": 300_000, "views": 100}
    if not arguments.quick:
        size = {"agents": 1_000, "events": 10_000_000, "views": 300}
    report = Report({**size})
    name = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        measure(report, **size)
    finally:
        connection.creation.destroy_test_db(name, verbosity=0)
    report.show(as_json=arguments.json)


if __name__ == "__main__":
    main()
