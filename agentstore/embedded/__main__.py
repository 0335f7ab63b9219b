"""`python -m agentstore.embedded start|stop|status|env|remove [--dir DIR] [--throwaway]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from agentstore.embedded.errors import EmbeddedError
from agentstore.embedded.services import Services

DEFAULT_DIRECTORY = Path(__file__).resolve().parent.parent.parent / ".run"


def main(arguments: list[str] | None = None) -> int:
    """0 when done (status: when all of ours run), 1 otherwise with one line of what to do."""
    parser = argparse.ArgumentParser(prog="python -m agentstore.embedded", description=__doc__)
    parser.add_argument("command", choices=["start", "stop", "status", "env", "remove"])
    parser.add_argument(
        "--dir", type=Path, default=DEFAULT_DIRECTORY, help="where data and settings are kept"
    )
    parser.add_argument(
        "--throwaway", action="store_true", help="faster, not safe against a power cut; for tests"
    )
    options = parser.parse_args(arguments)
    # `env` is for `eval`, so what is said meanwhile goes the other way.
    say = (lambda line: print(line, file=sys.stderr)) if options.command == "env" else print
    services = Services(options.dir, throwaway=options.throwaway, say=say)
    try:
        if options.command == "start":
            services.start()
        elif options.command == "stop":
            services.stop()
        elif options.command == "remove":
            services.remove()
        elif options.command == "env":
            for name, url in services.urls().items():
                print(f"export {name}={url}")
        else:
            running = services.status()
            for name, up in running.items():
                print(f"{name}: {'running' if up else 'not running'}")
            return 0 if all(running.values()) else 1
    except EmbeddedError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
