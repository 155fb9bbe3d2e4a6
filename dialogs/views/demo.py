"""Two pages of a pretended customer's shop with the one script line, under the strict policy of the README (W1, W5)."""

from csp.constants import NONE, SELF
from csp.decorators import csp_replace
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_safe

# what a customer's own strict policy looks like; only script-src and connect-src name the chat's origin (here: ours)
STRICT = {
    "default-src": [NONE],
    "script-src": [SELF],
    "connect-src": [SELF],
    "style-src": [SELF],
    "img-src": [SELF],
    "base-uri": [NONE],
    "form-action": [NONE],
    "frame-ancestors": [NONE],
    "require-trusted-types-for": ["'script'"],
}


@require_safe
@csp_replace(STRICT)
def shop(request: HttpRequest) -> HttpResponse:
    """The shop's first page."""
    return render(request, "demo/shop.html")


@require_safe
@csp_replace(STRICT)
def about(request: HttpRequest) -> HttpResponse:
    """The shop's second page, to walk between the two."""
    return render(request, "demo/about.html")


urlpatterns = [path("demo/", shop, name="demo"), path("demo/about/", about, name="demo-about")]
