"""Says at the end of a run which drivers and runtimes the conformance suite ran on. A plugin of tests/conftest.py."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    ran: dict[str, int] = {}
    for report in (*terminalreporter.stats.get("passed", []), *terminalreporter.stats.get("failed", [])):
        for name, value in report.user_properties:
            if name == "sandbox" and report.when == "call":
                ran[value] = ran.get(value, 0) + 1
    if ran:
        told = ", ".join(f"{kind} ({count} checks)" for kind, count in sorted(ran.items()))
        terminalreporter.write_line(f"sandbox: the conformance suite ran on {told}")
