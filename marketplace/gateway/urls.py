"""All that the gateway process serves. The web process includes none of it."""

from __future__ import annotations

from django.urls import path

from marketplace.gateway import model, rest

urlpatterns = [
    path("v1/tools", rest.listing, name="tools"),
    path("v1/tools/<slug:tool>", rest.call, name="tool"),
    path("mcp", rest.mcp, name="mcp"),
    path("v1/chat/completions", model.completions, {"path": "chat/completions"}, name="model-chat"),
    path("v1/responses", model.completions, {"path": "responses"}, name="model-responses"),
    path("v1/embeddings", model.completions, {"path": "embeddings"}, name="model-embeddings"),
    path("v1/models", model.models, name="model-list"),
    path("healthz", rest.alive, name="alive"),
]

handler400 = "marketplace.gateway.middleware.bad_request"
handler404 = "marketplace.gateway.middleware.not_found"
handler500 = "marketplace.gateway.middleware.server_error"
