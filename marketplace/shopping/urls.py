from django.urls import URLPattern, URLResolver

app_name = "shopping"
urlpatterns: list[URLPattern | URLResolver] = []
