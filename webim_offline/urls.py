"""All addresses (interfaces.md)."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("operators.urls")),
    path("", include("dialogs.urls")),
    path("", include("notifications.metrics")),
    path("admin/", admin.site.urls),
]

handler500 = "webim_offline.errors.server_error"
