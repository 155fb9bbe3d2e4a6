from django.urls import URLPattern, URLResolver

from dialogs.views import acting, archive, demo, rings, scripts, team, transfer, widget, workspace

urlpatterns: list[URLPattern | URLResolver] = [
    *workspace.urlpatterns,
    *acting.urlpatterns,
    *transfer.urlpatterns,
    *archive.urlpatterns,
    *rings.urlpatterns,
    *scripts.urlpatterns,
    *team.urlpatterns,
    *widget.urlpatterns,
    *demo.urlpatterns,
]
