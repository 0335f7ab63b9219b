"""What the web process serves. Each room owns its paths; nothing else is routed here."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

from agentstore import health

urlpatterns = [
    path("", include("marketplace.shopping.urls")),
    path("", include("marketplace.catalog.urls")),
    path("", include("marketplace.publishing.urls")),
    path("", include("billing.urls")),
    path("", include("sandbox.urls")),
    path("", include("agentstore.identity.urls")),
    path("account/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("healthz", health.alive, name="alive"),
    path("readyz", health.ready, name="ready"),
]

handler400 = "agentstore.errors.bad_request"
handler403 = "agentstore.errors.forbidden"
handler404 = "agentstore.errors.not_found"
handler500 = "agentstore.errors.server_error"
