"""`manage.py sandbox_doctor`: is it safe to run strangers' code here?"""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from agentstore.kit.errors import StoreError


class Command(BaseCommand):
    """Looks at the engine and around from inside a sandbox; ends with an error when a property is broken."""

    help = "Probe this host from inside a sandbox and report every isolation property as kept or broken."

    def add_arguments(self, parser: CommandParser) -> None:
        """The options."""
        parser.add_argument("--driver", default="docker", help="the driver to look at (default: docker)")
        parser.add_argument(
            "--attacks", action="store_true", help="also run the attacks; takes about a minute"
        )
        parser.add_argument("--json", action="store_true", help="findings as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        from sandbox.bench import Bench
        from sandbox.conformance import ATTACKS
        from sandbox.drivers import make_driver
        from sandbox.proof import prove
        from sandbox.spec import Trust

        try:
            driver = make_driver(options["driver"])
            findings = prove(driver)
            if options["attacks"]:
                for trust in Trust:
                    with Bench(driver, trust) as bench:
                        findings += [check(bench) for check in ATTACKS]
        except StoreError as failed:
            raise CommandError(f"{failed.message} {failed.hint}".strip()) from failed
        broken = [finding for finding in findings if not finding.kept]
        if options["json"]:
            told = [{"name": f.name, "kept": f.kept, "detail": f.detail, "fix": f.fix} for f in findings]
            self.stdout.write(json.dumps({"driver": driver.name, "findings": told}))
        else:
            for finding in findings:
                self.stdout.write(
                    f"{'kept  ' if finding.kept else 'BROKEN'} {finding.name}: {finding.detail}"
                )
                if finding.fix:
                    self.stdout.write(f"       fix: {finding.fix}")
        if broken:
            raise CommandError(f"{len(broken)} of {len(findings)} properties are broken.")
        if not options["json"]:
            self.stdout.write(f"All {len(findings)} properties hold: agents can run here.")
