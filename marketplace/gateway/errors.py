"""What the gateway refuses, as agents read it. Documented in docs/guides/tools.md."""

from __future__ import annotations

from agentstore.kit.errors import Forbidden, TooMany, Unauthenticated, Unavailable


class NoToken(Unauthenticated):
    """The request carries no run token."""

    code = "no_run_token"


class NotBound(Forbidden):
    """The sandbox serves no conversation yet."""

    code = "not_bound"


class NotPermitted(Forbidden):
    """The manifest does not ask for what the tool needs."""

    code = "not_permitted"


class TooFast(TooMany):
    """Too many calls within a second."""

    code = "too_fast"


class TooManyCalls(TooMany):
    """The turn has used up its calls."""

    code = "too_many_calls"


class BudgetSpent(TooMany):
    """The conversation has used up its tokens at the model server."""

    code = "budget_spent"


class ModelUnavailable(Unavailable):
    """No model server is configured, or it does not answer."""

    code = "model_unavailable"
