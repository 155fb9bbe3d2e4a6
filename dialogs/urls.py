from django.urls import URLPattern, URLResolver

from dialogs.views import acting, demo, health, widget, workspace

urlpatterns: list[URLPattern | URLResolver] = [
    *workspace.urlpatterns,
    *acting.urlpatterns,
    *widget.urlpatterns,
    *demo.urlpatterns,
    *health.urlpatterns,
]
