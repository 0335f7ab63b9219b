"""The web process: `uvicorn agentstore.asgi:application`."""

import os

from django.core.asgi import get_asgi_application

import agentstore.kit.mcp_answers  # noqa: F401  (here, so that no caller waits for the SDK to load)
from agentstore.kit.forwarded import tell_of_untrusted_proxies

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentstore.settings")

application = tell_of_untrusted_proxies(get_asgi_application())
