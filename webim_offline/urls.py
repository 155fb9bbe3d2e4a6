"""All addresses (interfaces.md)."""

from django.contrib import admin
from django.urls import include, path

admin.autodiscover()  # where `WITHOUT_ADMIN` has left it out, whoever asks for addresses needs it after all

urlpatterns = [
    path("", include("operators.urls")),
    path("", include("dialogs.urls")),
    path("", include("webim_offline.health")),
    path("", include("webim_offline.metrics")),
    path("admin/", admin.site.urls),
]

handler400 = "webim_offline.foundation.http.errors.bad_request"
handler403 = "webim_offline.foundation.http.errors.permission_denied"
handler500 = "webim_offline.foundation.http.errors.server_error"
