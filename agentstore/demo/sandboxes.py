"""`python -m agentstore.demo.sandboxes`: remove a stack's sandboxes and their doors.

The pool does this while it runs; a stack that has been stopped has nobody left to do it.
"""

from __future__ import annotations

import contextlib
import os

import django


def remove_sandboxes() -> int:
    """Kill and remove all sandboxes of this stack, running or not; how many there were. Needs no database."""
    from sandbox import doors, places
    from sandbox.driver import DriverError
    from sandbox.drivers import present_drivers

    removed = 0
    for driver in present_drivers():
        # An engine that goes away now takes nothing of ours with it that could be removed here.
        with contextlib.suppress(DriverError):
            for stack in (places.stack_name(), places.proof_stack()):
                for found in driver.list_sandboxes(stack):
                    driver.stop(found.handle)
                    removed += 1
    for sandbox_id in doors.left_behind():
        doors.remove(sandbox_id)
    return removed


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentstore.settings")
    django.setup()
    print(remove_sandboxes())
