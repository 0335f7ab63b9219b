"""The environment that every agent finds (docs/guides/container-contract.md)."""

from __future__ import annotations

from django.conf import settings

from sandbox.spec import RunSpec

AGENT_PORT = 8080
GATEWAY = "http://127.0.0.1:9000"


def agent_environment(*, spec: RunSpec, token: str) -> dict[str, str]:
    """The spec's own variables, then the contract's, which win."""
    return {
        **spec.env,
        "PORT": str(AGENT_PORT),
        "HOME": "/tmp",  # noqa: S108  (inside the sandbox)
        # Its number has no name in the image's /etc/passwd; programs that want one look here first.
        "USER": "agent",
        "LOGNAME": "agent",
        "AGENTSTORE_URL": GATEWAY,
        "AGENTSTORE_TOKEN": token,
        "MCP_URL": f"{GATEWAY}/mcp",
        "MCP_TOKEN": token,
        "OPENAI_BASE_URL": f"{GATEWAY}/v1",
        "OPENAI_API_KEY": token,
        "OPENAI_MODEL": settings.MODEL_NAME,
    }
