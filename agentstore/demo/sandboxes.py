"""`python -m agentstore.demo.sandboxes`: remove a stack's containers and their doors.

The pool does this while it runs; a stack that has been stopped has nobody left to do it.
"""

from __future__ import annotations

import os

import django


def remove_sandboxes() -> int:
    """Kill and remove all sandboxes of this stack, running or not; how many there were. Needs no database."""
    from sandbox import doors, places
    from sandbox.driver import DriverError
    from sandbox.drivers.docker import DockerDriver

    removed = 0
    try:
        driver = DockerDriver()
        for found in driver.list_sandboxes(places.stack_name()):
            driver.stop(found.handle)
            removed += 1
    except DriverError:
        removed = 0  # no engine, so no container of ours either
    for sandbox_id in doors.left_behind():
        doors.remove(sandbox_id)
    return removed


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentstore.settings")
    django.setup()
    print(remove_sandboxes())
