"""`manage.py sandbox_host list|drain|undrain`: the machines that run sandboxes."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from agentstore.kit.clock import now
from agentstore.kit.errors import NotFound


class Command(BaseCommand):
    """Lists hosts; takes one out of service and puts it back."""

    help = "List the hosts that run sandboxes; drain one for maintenance, or put it back into service."

    def add_arguments(self, parser: CommandParser) -> None:
        """The options."""
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("list", help="all hosts and what they hold")
        drain = actions.add_parser("drain", help="start nothing more there; running turns finish")
        drain.add_argument("name")
        drain.add_argument(
            "--wait", type=float, default=0, help="seconds to wait until it is empty (default: 0)"
        )
        undrain = actions.add_parser("undrain", help="start sandboxes there again")
        undrain.add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        from sandbox import hosts, tending

        try:
            match options["action"]:
                case "list":
                    self._list()
                case "drain":
                    hosts.drain_host(name=options["name"], by="sandbox_host")
                    tending.tend_pool()
                    self._await_empty(options["name"], options["wait"])
                case "undrain":
                    hosts.undrain_host(name=options["name"], by="sandbox_host")
                    self.stdout.write(f"{options['name']} takes sandboxes again")
        except NotFound as unknown:
            raise CommandError(f"{unknown.message} {unknown.hint}".strip()) from unknown

    def _list(self) -> None:
        from sandbox.reports import host_states

        for state in host_states():
            host = state.host
            told = f"{host.name}: {host.get_status_display().lower()}, {state.held} of {host.places} places"
            told += f", heard of {(now() - host.heartbeat_at).total_seconds():.0f} s ago"
            self.stdout.write(f"{told}, driver {host.driver or 'none'}")
            if host.refusal:
                self.stdout.write(f"    starts nothing: {host.refusal}")

    def _await_empty(self, name: str, seconds: float) -> None:
        from sandbox import hosts, tending

        until = time.monotonic() + seconds
        while (left := len(hosts.live_sandboxes(name))) and time.monotonic() < until:
            time.sleep(0.5)
            tending.tend_pool()
        if left and seconds:
            raise CommandError(f"{name} still holds {left} sandboxes; their turns are not over.")
        self.stdout.write(f"{name} drains, {left} sandboxes are left" if left else f"{name} is empty")
