from django.urls import path, re_path

from marketplace.catalog.ucp import api
from marketplace.catalog.views import photos

app_name = "catalog"
urlpatterns = [
    path(".well-known/ucp", api.profile, name="ucp-profile"),
    path("ucp/catalog/search", api.search, name="ucp-search"),
    path("ucp/catalog/lookup", api.lookup, name="ucp-lookup"),
    path("ucp/catalog/product", api.product, name="ucp-product"),
    path("ucp/mcp", api.mcp, name="ucp-mcp"),
    re_path(r"^media/photos/(?P<name>[0-9a-f]{2}/[0-9a-f]{64}\.webp)$", photos.photo, name="photo"),
]
