"""What a panel is measured against: a page of Django that asks who is signed in, makes one query, and says a number."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from dialogs.models import Dialog


@login_required
def newest(request: HttpRequest) -> HttpResponse:
    """The number of the newest dialog."""
    return HttpResponse(Dialog.objects.order_by("-pk").values_list("number", flat=True).first() or 0)


urlpatterns = [path("bare/", newest), path("", include("webim_offline.urls"))]
