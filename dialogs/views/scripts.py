"""Scripts as browsers get them: without comments and blanks, compressed, kept for a while and then asked after by their ETag."""

import hashlib
from functools import lru_cache
from pathlib import Path

import rjsmin
from django.contrib.staticfiles import finders
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from django.utils.cache import patch_vary_headers
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

OPERATORS_SCRIPTS = {"archive", "live", "rings", "team", "transfer", "workspace"}
JAVASCRIPT = "text/javascript; charset=utf-8"
FRESH = 60  # seconds a browser keeps an operators' script: a release must not run beside old ones for long


@lru_cache(maxsize=16)
def _source(name: str, changed_at: float) -> str:
    text = Path(str(finders.find(name))).read_text(encoding="utf-8")
    return rjsmin.jsmin(text) if name.endswith(".js") else text


def source(name: str) -> str:
    """The text of a static file, a script's without comments and blanks: made once in each process."""
    return _source(name, Path(str(finders.find(name))).stat().st_mtime)


def public(request: HttpRequest, body: str, content_type: str, fresh: int) -> HttpResponse:
    """Cacheable for `fresh` seconds, for every origin, with an ETag of what it holds."""
    tag = f'"{hashlib.sha256(body.encode()).hexdigest()[:24]}"'
    known = {word.strip().removeprefix("W/") for word in request.headers.get("If-None-Match", "").split(",")}
    response = HttpResponse(status=304) if tag in known else HttpResponse(body, content_type=content_type)
    response["ETag"] = tag
    response["Cache-Control"] = f"public, max-age={fresh}"
    response["Access-Control-Allow-Origin"] = "*"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    patch_vary_headers(response, ["Accept-Encoding"])
    return response


@require_safe
@gzip_page
def operators_script(request: HttpRequest, name: str) -> HttpResponse:
    """A script of the operators' pages; it holds nothing of anybody, so it asks for no login."""
    if name not in OPERATORS_SCRIPTS:
        raise Http404
    return public(request, source(f"dialogs/{name}.js"), JAVASCRIPT, FRESH)


urlpatterns = [path("workspace/scripts/<slug:name>.js", operators_script, name="script")]
