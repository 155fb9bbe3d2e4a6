from django.urls import URLPattern, URLResolver

from dialogs.views import demo, health, widget, workspace

urlpatterns: list[URLPattern | URLResolver] = [
    *workspace.urlpatterns,
    *widget.urlpatterns,
    *demo.urlpatterns,
    *health.urlpatterns,
]
