"""`manage.py sandbox_doctor`: is it safe to run strangers' code here?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from agentstore.kit.errors import StoreError
from sandbox.driver import Finding


class Command(BaseCommand):
    """Looks at the engine and around from inside a sandbox; ends with an error when a property is broken."""

    help = "Probe this host from inside a sandbox and report every isolation property as kept or broken."

    def add_arguments(self, parser: CommandParser) -> None:
        """The options."""
        parser.add_argument(
            "--driver", default="auto", help="the driver to look at (default: the one that is chosen here)"
        )
        parser.add_argument(
            "--host", action="store_true",
            help="also write the findings to this host's row: what is broken stops new sandboxes here",
        )  # fmt: skip
        parser.add_argument(
            "--attacks", action="store_true", help="also run the attacks; takes about a minute"
        )
        parser.add_argument("--json", action="store_true", help="findings as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            name, findings = self._look(options)
        except StoreError as failed:
            raise CommandError(f"{failed.message} {failed.hint}".strip()) from failed
        broken = [finding for finding in findings if not finding.kept]
        if options["json"]:
            told = [{"name": f.name, "kept": f.kept, "detail": f.detail, "fix": f.fix} for f in findings]
            self.stdout.write(json.dumps({"driver": name, "findings": told}))
        else:
            self._tell(name, findings)
        if broken:
            raise CommandError(f"{len(broken)} of {len(findings)} properties are broken.")
        if not options["json"]:
            self.stdout.write(f"All {len(findings)} properties hold: agents can run here.")

    def _look(self, options: dict[str, Any]) -> tuple[str, list[Finding]]:
        from sandbox import hosts
        from sandbox.bench import Bench
        from sandbox.conformance import ATTACKS
        from sandbox.drivers import chosen_driver, make_driver
        from sandbox.proof import prove
        from sandbox.spec import Trust

        if options["host"]:
            hosts.beat()
        try:
            driver = chosen_driver() if options["driver"] == "auto" else make_driver(options["driver"])
            findings = prove(driver)
        except StoreError as none:
            if options["host"]:
                hosts.record_refusal(why=none.message)
            raise
        if options["attacks"]:
            # One level of each runtime: the same would be attacked twice.
            for trust in {driver.runtime_for(trust): trust for trust in Trust}.values():
                with Bench(driver, trust) as bench:
                    findings += [check(bench) for check in ATTACKS]
        if options["host"]:
            hosts.record_proof(driver=driver, findings=findings)
        return driver.name, findings

    def _tell(self, name: str, findings: Sequence[Finding]) -> None:
        self.stdout.write(f"driver {name}")
        for finding in findings:
            self.stdout.write(f"{'kept  ' if finding.kept else 'BROKEN'} {finding.name}: {finding.detail}")
            if finding.fix:
                self.stdout.write(f"       fix: {finding.fix}")
