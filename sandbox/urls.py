from django.urls import URLPattern, URLResolver, path

from sandbox import views

app_name = "sandbox"
urlpatterns: list[URLPattern | URLResolver] = [
    path("operator/sandboxes/", views.pool, name="pool"),
    path("operator/sandboxes/<uuid:sandbox_id>/", views.detail, name="detail"),
]
