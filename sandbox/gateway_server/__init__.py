"""The gateway's process: one Unix socket for each sandbox, so that a connection says by itself who is calling."""

from __future__ import annotations

from sandbox.gateway_server.server import GatewayServer

__all__ = ["GatewayServer"]
