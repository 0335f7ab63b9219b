"""The gateway process: `python -m agentstore.gateway_server`.

It serves only what a sandboxed agent may reach, on one Unix socket per sandbox below GATEWAY_SOCKET_DIR, so that
nothing of the pages is behind those doors.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast


def make_server() -> Any:
    """The server, not yet started; `run()` serves until SIGTERM or SIGINT."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentstore.settings")
    os.environ["AGENTSTORE_ROOT_URLCONF"] = "marketplace.gateway.urls"
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.urls import resolve

    application = get_asgi_application()
    # Loads all that the views need before anybody is let in: a turn's first call would pay for it.
    resolve("/healthz")
    import agentstore.kit.mcp_answers  # noqa: F401
    from sandbox.gateway_server import GatewayServer

    return GatewayServer(cast("Any", application), root=Path(settings.GATEWAY_SOCKET_DIR))


if __name__ == "__main__":
    make_server().run()
