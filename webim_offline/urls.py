"""All addresses (interfaces.md)."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("operators.urls")),
    path("", include("dialogs.urls")),
    path("", include("notifications.metrics")),
    path("admin/", admin.site.urls),
]

handler400 = "webim_offline.errors.bad_request"
handler403 = "webim_offline.errors.permission_denied"
handler500 = "webim_offline.errors.server_error"
