"""The worked examples in the documentation are executed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from billing import statements
from tests.billing.seen import until_all_is_seen

ALGORITHMS = Path(__file__).resolve().parents[2] / "docs" / "algorithms"
CODE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def execute(page: str, **given: object) -> None:
    blocks = CODE.findall((ALGORITHMS / f"{page}.md").read_text())
    assert blocks
    exec(compile("\n".join(blocks), f"{page}.md", "exec"), given)  # noqa: S102 (our own documentation)


@pytest.fixture
def all_is_seen(monkeypatch):
    """Months close after what was posted lies below the mark: other workers' transactions hold it back."""
    close = statements.close_due_months

    def close_when_seen() -> int:
        until_all_is_seen()
        return close()

    monkeypatch.setattr(statements, "close_due_months", close_when_seen)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("all_is_seen")
@pytest.mark.parametrize("page", ["statements", "payouts"])
def test_the_example_with_months_is_true(page, settings):
    settings.PPCV_QUARANTINE_SECONDS = 0
    execute(page)


@pytest.mark.django_db(transaction=True)
def test_the_example_with_the_processor_is_true(blank_standin):
    execute("reconciliation", standin=blank_standin)


@pytest.mark.parametrize("page", ["ledger", "pricing", "metering", "closing", "margin", "forecast"])
def test_the_example_is_true(page, prices, settings):
    settings.PPCV_QUARANTINE_SECONDS = 0
    blocks = CODE.findall((ALGORITHMS / f"{page}.md").read_text())
    assert blocks
    exec(compile("\n".join(blocks), f"{page}.md", "exec"), {"prices": prices})  # noqa: S102 (our own documentation)
