from django.urls import URLPattern, URLResolver, path

from sandbox import host_views, views

app_name = "sandbox"
urlpatterns: list[URLPattern | URLResolver] = [
    path("operator/sandboxes/", views.pool, name="pool"),
    path("operator/sandboxes/hosts/<str:name>/", host_views.host, name="host"),
    path("operator/sandboxes/hosts/<str:name>/drain/", host_views.drain, name="drain"),
    path("operator/sandboxes/<uuid:sandbox_id>/", views.detail, name="detail"),
    path("metrics", host_views.metrics, name="metrics"),
    path("readyz/sandboxes", host_views.ready, name="ready"),
]
