from django.urls import path, re_path

from marketplace.catalog import merchant_api
from marketplace.catalog.media import SMALL_SIDE
from marketplace.catalog.views import (
    descriptions,
    exports,
    imports,
    marked_texts,
    merchant,
    photos,
    shop,
    sources,
)

app_name = "catalog"
urlpatterns = [
    path("api/merchant/items", merchant_api.items, name="api-items"),
    path("api/merchant/offers", merchant_api.offers, name="api-offers"),
    path("api/merchant/imports", merchant_api.imports, name="api-imports"),
    path("api/merchant/imports/<uuid:import_id>", merchant_api.report, name="api-import"),
    path("api/merchant/imports/<uuid:import_id>/roll-back", merchant_api.roll_back, name="api-roll-back"),
    path("catalogue/", shop.search, name="search"),
    path("products/<str:product_id>/", shop.product, name="product"),
    path("merchant/", merchant.merchants, name="merchants"),
    path("merchant/<slug:slug>/", merchant.workspace, name="workspace"),
    path("merchant/<slug:slug>/catalogue/", merchant.catalogue, name="catalogue"),
    path("merchant/<slug:slug>/catalogue.csv", exports.catalogue, name="catalogue-csv"),
    path("merchant/<slug:slug>/offers.csv", exports.offers, name="offers-csv"),
    path(
        "merchant/<slug:slug>/products/<int:product_id>/description/",
        descriptions.description,
        name="description",
    ),
    path(
        "merchant/<slug:slug>/products/<int:product_id>/description/draft", descriptions.draft, name="draft"
    ),
    path(
        "merchant/<slug:slug>/products/<int:product_id>/description/<uuid:draft_id>",
        descriptions.decide,
        name="draft-decide",
    ),
    path("merchant/<slug:slug>/offers/<int:offer_id>/", merchant.offer, name="offer"),
    path("merchant/<slug:slug>/offers/<int:offer_id>/photo", merchant.add_photo, name="offer-photo"),
    path("merchant/<slug:slug>/imports/", imports.imports, name="imports"),
    path("merchant/<slug:slug>/imports/fetched/", sources.sources, name="feed-sources"),
    path("merchant/<slug:slug>/imports/fetched/<uuid:source_id>", sources.change, name="feed-source"),
    path("merchant/<slug:slug>/imports/<uuid:import_id>/", imports.report, name="import"),
    path("merchant/<slug:slug>/imports/<uuid:import_id>/changes/", imports.changes, name="import-changes"),
    path("merchant/<slug:slug>/imports/<uuid:import_id>/go-ahead", imports.go_ahead, name="import-go-ahead"),
    path(
        "merchant/<slug:slug>/imports/<uuid:import_id>/roll-back", imports.roll_back, name="import-roll-back"
    ),
    path("merchant/<slug:slug>/imports/<uuid:import_id>/progress", imports.progress, name="import-progress"),
    path(
        "merchant/<slug:slug>/imports/<uuid:import_id>/refused.csv", imports.refusals, name="import-refusals"
    ),
    path("merchant/<slug:slug>/marked-texts/", marked_texts.of_merchant, name="marked-texts-of-merchant"),
    path("merchant/<slug:slug>/marked-texts/<int:text_id>/ask", marked_texts.ask, name="marked-text-ask"),
    path("operator/marked-texts/", marked_texts.queue, name="marked-texts"),
    path("operator/marked-texts/<int:text_id>/", marked_texts.review, name="marked-text"),
    re_path(
        rf"^media/photos/[0-9a-f]{{2}}/(?P<digest>[0-9a-f]{{64}})(?P<small>-{SMALL_SIDE})?\.webp$",
        photos.photo,
        name="photo",
    ),
]
