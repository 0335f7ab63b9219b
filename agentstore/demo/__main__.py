"""`python -m agentstore.demo start|stop|status`: what `make demo`, `make stop` and `make status` run."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from agentstore.demo.stack import REPOSITORY, Stack, StackError
from agentstore.embedded import EmbeddedError, Services
from agentstore.embedded.processes import free_port, port_is_free

STATE = REPOSITORY / ".run"
WEB_PORT, STANDIN_PORT = 8000, 8420
# The demo should show its fees while you look; everything else is as in any store.
DEFAULTS = {"PPCV_QUARANTINE_SECONDS": "20", "LOG_LEVEL": "INFO"}
_started = time.monotonic()


def say(line: str) -> None:
    """One line of progress, with the time since the start."""
    print(f"[{time.monotonic() - _started:5.1f} s] {line}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """0 when done (status: when all runs), 1 otherwise with one line of what to do."""
    parser = argparse.ArgumentParser(prog="python -m agentstore.demo", description=__doc__)
    parser.add_argument("command", choices=["start", "stop", "status"])
    command: Callable[[], int] = {"start": start, "stop": stop, "status": status}[
        parser.parse_args(arguments).command
    ]
    try:
        return command()
    except (EmbeddedError, StackError) as error:
        print(f"\n{error}", file=sys.stderr)
        print(
            "\nThe demo is not complete. Repair what is said above and run `make demo` again.",
            file=sys.stderr,
        )
        return 1


def start() -> int:
    """Bring up everything that is not there yet and print how to get in."""
    say("starting PostgreSQL and Valkey")
    urls = Services(STATE, say=say).start()
    stack = demo_stack(urls)
    # From here on this process is one more process of that store.
    os.environ.update(stack.environment, DJANGO_SETTINGS_MODULE="agentstore.settings")
    import django

    django.setup()
    from django.core.management import CommandError

    from agentstore.demo import story
    from agentstore.demo.visitor import Turned

    say("bringing the database up to date")
    story.ensure_schema()
    say("prices and people")
    story.ensure_prices()
    say("starting the store")
    stack.stop_outdated()
    stack.start()
    try:
        say("loading the seed catalogue (the first time takes some minutes)")
        story.ensure_goods()
        story.ensure_rules()
        say("publishing the first-party agent through the portal")
        complete = story.ensure_agents(say)
    except CommandError as failed:
        raise StackError(str(failed)) from failed
    except Turned as turned:
        raise StackError(f"The agent was not published: {turned}") from turned
    welcome(stack, complete=complete)
    return 0


def stop() -> int:
    """End it all; data stay."""
    services = Services(STATE, say=say)
    stack = demo_stack({"VALKEY_URL": "redis://127.0.0.1", **services.urls()})
    stack.stop()
    say("store: stopped")
    services.stop()
    return 0


def status() -> int:
    """Say what runs."""
    services = Services(STATE, say=lambda line: None)
    running = services.status()
    stack = demo_stack({"VALKEY_URL": "redis://127.0.0.1", **services.urls()})
    running |= stack.status() if all(running.values()) else dict.fromkeys(stack.programs, False)
    for name, up in running.items():
        print(f"{name:<12}{'running' if up else 'not running'}")
    print(f"{stack.url}    logs: {stack.state_dir / 'logs'}")
    return 0 if all(running.values()) else 1


def demo_stack(urls: dict[str, str]) -> Stack:
    """The demo's processes, at the ports of its first start unless somebody has taken them since."""
    remembered = STATE / "demo" / "ports.json"
    ports = json.loads(remembered.read_text()) if remembered.is_file() else {}
    probe = _stack(urls, ports.get("web", WEB_PORT), ports.get("standin", STANDIN_PORT))
    if not ports or not probe.is_running():
        for name, usual in (("web", WEB_PORT), ("standin", STANDIN_PORT)):
            port = ports.get(name, usual)
            ports[name] = port if port_is_free(port) else free_port()
        remembered.parent.mkdir(parents=True, exist_ok=True)
        remembered.write_text(json.dumps(ports))
    return _stack(urls, ports["web"], ports["standin"])


def _stack(urls: dict[str, str], web_port: int, standin_port: int) -> Stack:
    given = {name: os.environ[name] for name in ("DATABASE_URL", "VALKEY_URL") if os.environ.get(name)}
    run_dir = Path(os.environ.get("AGENTSTORE_RUN_DIR") or f"/tmp/agentstore-{os.getuid()}")  # noqa: S108 (owner is checked)
    defaults = {name: value for name, value in DEFAULTS.items() if name not in os.environ}
    return Stack(
        STATE / "demo",
        run_dir=run_dir,
        web_port=web_port,
        standin_port=standin_port,
        environment={**defaults, **urls, **given},
        say=say,
    )


def welcome(stack: Stack, *, complete: bool) -> None:
    """Where the store is and who can sign in."""
    from agentstore.demo.people import PASSWORD, PEOPLE

    print(f"\nThe Agent Store runs at {stack.url}\n")
    print(f"Sign in with the password {PASSWORD} as")
    for person in PEOPLE:
        print(f"  {person.email:<22}{person.role}")
    print(f"\nLogs and mail: {stack.state_dir / 'logs'}    End it: make stop")
    if not complete:
        print("Agents cannot run here: scripts/setup_engine.sh says what to do; then run `make demo` again.")


if __name__ == "__main__":
    sys.exit(main())
