"""Where things of this stack are: its name, its sandboxes' doors."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path

from django.conf import settings
from django.db import connection

SOCKET_NAME = "agent.sock"
GATEWAY_SOCKET_NAME = "gateway.sock"
ALIVE_NAME = "alive"
LOG_NAMES = ("log.old", "log")
# "nobody" of Debian, which owns nothing on any host: whose an image's files are, and who an agent is in gVisor.
SANDBOX_UID = 65534
# Beyond what distributions, containers and systemd give away, and below 2^31.
_FIRST_UID, _UIDS = 0x7000_0000, 0x0FF0_0000


def stack_name() -> str:
    """What the containers of this installation are labelled with: SANDBOX_STACK, or one made from where it
    lives.

    Two stacks on one engine (a demo and a test run, say) never touch each other's containers.
    """
    if settings.SANDBOX_STACK:
        return str(settings.SANDBOX_STACK)
    database = connection.settings_dict
    where = f"{settings.RUN_DIR}|{database['HOST']}|{database['PORT']}|{database['NAME']}"
    return hashlib.sha256(where.encode()).hexdigest()[:12]


def proof_stack() -> str:
    """The label of the probes that prove a driver; they have no rows."""
    return f"{stack_name()}-proof"


def doors_root() -> Path:
    """The directory of all per-sandbox directories."""
    return Path(settings.RUN_DIR) / "sandboxes"


def sandbox_uid(sandbox_id: uuid.UUID) -> int:
    """The user and group that a sandbox runs as where it shares the host's kernel.

    The kernel counts some things by user (inotify instances, queued signals, descriptors on their way): with one
    user for all, one sandbox could use them up for its neighbours.
    """
    return _FIRST_UID + sandbox_id.int % _UIDS


def door_dir(sandbox_id: uuid.UUID) -> Path:
    """The directory that one sandbox may write to: its socket and its log."""
    return doors_root() / sandbox_id.hex


def gateways_root() -> Path:
    """The directory of all per-sandbox directories of the gateway, one socket in each."""
    return Path(settings.GATEWAY_SOCKET_DIR)


def gateway_dir(sandbox_id: uuid.UUID) -> Path:
    """What one sandbox sees, and can't write to: its own socket at the gateway."""
    return gateways_root() / sandbox_id.hex


def socket_path(sandbox_id: uuid.UUID) -> Path:
    """Where the sandbox's relay listens for us. The agent can replace it: open it by `doors.open_socket` only."""
    return door_dir(sandbox_id) / SOCKET_NAME
