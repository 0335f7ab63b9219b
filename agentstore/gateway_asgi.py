"""The gateway process: `uvicorn agentstore.gateway_asgi:application --uds <GATEWAY_SOCKET_DIR>/gateway.sock`.

It serves only what a sandboxed agent may reach, so that nothing of the pages is behind that door.
"""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "agentstore.settings")
os.environ["AGENTSTORE_ROOT_URLCONF"] = "marketplace.gateway.urls"

application = get_asgi_application()
