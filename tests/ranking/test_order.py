"""From events to the order of the store."""

import ast
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from agentstore.kit.clock import now
from agentstore.kit.money import Money
from marketplace.ranking import conversions, exposures, fit
from marketplace.ranking.examination import examination
from marketplace.ranking.models import Conversion, ConversionChange, Exposure, Fit
from marketplace.ranking.order import rank_agents
from marketplace.ranking.posterior import Parameters, Tally, overall
from marketplace.ranking.statistics import agent_statistics

A, B, C, D = (UUID(int=i) for i in range(1, 5))


def looked(agent: UUID, times: int, *, days_ago: float = 40, category: str = "", excluded: str = "") -> None:
    Exposure.objects.bulk_create(
        Exposure(
            agent_id=agent, category=category, surface="store", position=1, slot="ranked", propensity=1,
            examination=1, session_ref=f"s{i}", at=now() - timedelta(days=days_ago), excluded=excluded,
        )
        for i in range(times)
    )  # fmt: skip


def bought(agent: UUID, *, buyer: str = "", days_ago: float = 40, line: str = "", **fields) -> Conversion:
    at = now() - timedelta(days=days_ago)
    seen = Exposure.objects.create(
        agent_id=agent, category=fields.pop("category", ""), surface="store", position=1, slot="ranked",
        propensity=1, examination=0, session_ref="s", at=at - timedelta(minutes=5),
    )  # fmt: skip
    return conversions.record_conversion(
        line_ref=line or f"line:{uuid4()}", agent_id=agent, category="goods",
        buyer_ref=buyer or str(uuid4()), exposure_id=fields.pop("exposure_id", seen.pk),
        amount=Money(10_000_000, "USD"), occurred_at=at,
        matures_at=at + timedelta(days=settings.RETURN_WINDOW_DAYS), **fields,
    )  # fmt: skip


def order(agents=(A, B, C, D), *, gates=None, category="", seed="seed") -> list[UUID]:
    return [
        r.agent_id for r in rank_agents(agent_ids=agents, category=category, seed=seed, gates=gates or {})
    ]


@pytest.fixture
def history(db):
    for agent, sales in ((A, 10), (B, 40), (C, 20), (D, 5)):
        looked(agent, 400)
        for _ in range(sales):
            bought(agent)
    conversions.mature_conversions()
    return fit.fit_ranking()


def test_agents_stand_in_the_order_of_their_conversions(history):
    assert order() == [B, C, A, D]


def test_a_gate_multiplies_and_zero_takes_off_the_page(history):
    assert order(gates={B: 0.4}) == [C, B, A, D]
    assert order(gates={B: 0.0}) == [C, A, D]
    with pytest.raises(ValueError, match="gate"):
        order(gates={B: 1.5})


def test_the_input_order_does_not_matter(history):
    assert order((D, C, B, A)) == order((A, B, C, D))


def test_an_empty_store_ranks_everyone_at_the_prior(db):
    ranked = rank_agents(agent_ids=[A, B, C, D], category="toys", seed="x", gates={})
    assert len({r.score for r in ranked}) == 1
    assert [r.slot for r in ranked].count("new") == 1
    assert all(r.thin and r.volume == 0 for r in ranked)


def test_an_agent_unseen_in_a_category_is_judged_by_its_others(history):
    assert order((A, B), category="toys") == [B, A]


def test_refunded_pending_and_excluded_lines_do_not_count(db):
    looked(A, 400)
    counted = bought(A, line="line:1")
    bought(A, days_ago=1)
    bought(A, excluded="own organization")
    bought(A, exposure_id=None)
    assert conversions.mature_conversions() == 1
    fit.fit_ranking()
    assert agent_statistics(A).orders == 1
    assert conversions.reverse_conversion(line_ref=counted.line_ref, reason="refunded")
    assert not conversions.reverse_conversion(line_ref=counted.line_ref, reason="refunded")
    fit.fit_ranking()
    assert agent_statistics(A).orders == 0
    assert list(ConversionChange.objects.filter(conversion=counted).values_list("to_status", flat=True)) == [
        "pending", "matured", "reversed",
    ]  # fmt: skip


def test_a_line_is_recorded_once(db):
    assert bought(A, line="line:7").pk == bought(B, line="line:7").pk
    assert Conversion.objects.count() == 1


def test_one_buyer_lifts_an_agent_only_so_far(db):
    statuses = [bought(A, buyer="eve").status for _ in range(5)]
    assert statuses == ["pending"] * 3 + ["excluded"] * 2
    assert Conversion.objects.filter(status="excluded").values_list("reason", flat=True)[0]
    assert bought(A, buyer="eve", days_ago=90).status == "pending"
    assert bought(B, buyer="eve").status == "pending"


def test_what_is_younger_than_the_return_window_weighs_on_neither_side(history):
    before = agent_statistics(B)
    looked(B, 5_000, days_ago=2)
    bought(B, days_ago=2)
    fit.fit_ranking()
    after = agent_statistics(B)
    assert (after.exposures, after.orders) == (before.exposures, before.orders)


def test_sixty_days_halve_what_an_event_counts(db):
    looked(A, 10, days_ago=40)
    looked(B, 10, days_ago=100)
    bought(A, days_ago=40)
    bought(B, days_ago=100)
    conversions.mature_conversions()
    counted = fit.count_events(at=now())
    younger, older = (sum_of(counted[agent]) for agent in (A, B))
    assert older == pytest.approx([part / 2 for part in younger], rel=1e-3)


def sum_of(rows):
    """Conversions and examined exposures over all categories, decayed."""
    tallies = [row.tally for row in rows.values()]
    return [sum(tally.conversions for tally in tallies), sum(tally.examined for tally in tallies)]


def test_excluded_looks_do_not_count(history):
    looked(A, 1_000, excluded="own organization")
    fit.fit_ranking()
    assert agent_statistics(A).exposures == 410


def test_old_events_fade(db):
    looked(A, 400, days_ago=40)
    looked(B, 400, days_ago=100)
    fit.fit_ranking()
    rows = {row.agent_id: row.examined for row in Fit.objects.get().scores.filter(category="")}
    assert rows[A] == pytest.approx(2 * rows[B], rel=1e-3)


def test_statistics_tell_rate_interval_volume_and_date(history):
    told = agent_statistics(B)
    assert told.low < told.rate < told.high
    assert (told.exposures, told.orders, told.thin) == (440, 40, False)
    assert told.as_of == history.fitted_at


def test_a_reload_is_one_look(db):
    shown = [exposures.Shown(A, 1), exposures.Shown(B, 2, slot="new", propensity=0.5)]
    told = {"surface": "store", "session_ref": "s", "shopper_ref": "", "category": ""}
    first = exposures.record_exposures(**told, shown=shown)
    assert exposures.record_exposures(**told, shown=shown) == first
    assert exposures.record_exposures(**{**told, "session_ref": "t"}, shown=shown) != first
    assert Exposure.objects.count() == 4
    assert Exposure.objects.get(pk=first[1]).examination == pytest.approx(2**-0.5)


@pytest.mark.parametrize("propensity", [0, -0.1, 1.1])
def test_impossible_propensities_are_refused(db, propensity):
    with pytest.raises(ValueError, match="propensity"):
        exposures.record_exposures(
            surface="store", session_ref="s", shopper_ref="", category="",
            shown=[exposures.Shown(A, 1, propensity=propensity)],
        )  # fmt: skip


@given(st.integers(1, 10_000))
def test_examination_is_a_falling_probability(position):
    assert 0 < examination(position + 1) < examination(position) <= 1


@given(st.lists(st.integers(0, 30), min_size=2, max_size=6), st.data())
def test_one_more_sale_never_lowers_a_place_under_the_same_fit(sales, data):
    lucky = data.draw(st.integers(0, len(sales) - 1))

    def place(sales: list[int]) -> int:
        scores = [overall({"": Tally(n, 200)}, Parameters()).mean for n in sales]
        return sorted(range(len(sales)), key=lambda i: (-scores[i], i)).index(lucky)

    assert place([n + (i == lucky) for i, n in enumerate(sales)]) <= place(sales)


def test_the_room_knows_nothing_of_money_owed_or_of_rooms_beside_it():
    room = Path(__file__).parents[2] / "marketplace" / "ranking"
    for path in room.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            )  # fmt: skip
            for name in names:
                assert not name.startswith(("billing", "sandbox", "agentstore.identity")), (
                    f"{path.name}: {name}"
                )
                if name.startswith("marketplace."):
                    assert name.startswith("marketplace.ranking"), f"{path.name}: {name}"


def test_the_room_keeps_no_fee_bid_or_budget():
    from django.apps import apps

    fields = {f.name for m in apps.get_app_config("ranking").get_models() for f in m._meta.get_fields()}
    assert not [f for f in fields if any(word in f for word in ("fee", "bid", "budget", "ppcv", "tax"))]
