"""Scripts and styles as browsers get them: joined, short, compressed, kept for a while and then asked after by their ETag.

The sources are ES modules in `dialogs/static/dialogs/` (docs/scripts.md). Each page has one script; the widget has two parts. A
process joins, shortens and compresses a script when it is first asked for, and anew when a source has changed.
"""

import gzip
import hashlib
import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock

import brotli
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from webim_offline.foundation.http.accepted import accepted
from webim_offline.foundation.javascript import join
from webim_offline.foundation.minifier import CannotShortenError, Kind, shortened

logger = logging.getLogger(__name__)

SOURCES = Path(__file__).resolve().parent.parent / "static" / "dialogs"
PAGES = ("archive", "team", "workspace")  # each has a folder in SOURCES with a `main.js`
BEHIND = {"window": "widget"}  # second parts of scripts, and the first ones whose names they use
JAVASCRIPT = "text/javascript; charset=utf-8"
FRESH = 60  # seconds a browser keeps an operators' script: a release must not run beside old ones for long
LEAST_PACKED = 1000  # characters; a shorter body, such as the answer to an unknown account, is sent as it is
MOST_PACKED = 256  # bodies that are kept compressed, the latest ones: each account has a widget's script of its own


@dataclass(frozen=True)
class Made:
    """What was made of some source files, with the moments at which these had last changed."""

    text: str
    stamps: dict[Path, float]

    def is_current(self) -> bool:
        """Whether none of the sources has changed since."""
        return all(file.stat().st_mtime == stamp for file, stamp in self.stamps.items())

    def version(self) -> str:
        """A short name of what was made: another text has another one."""
        return version_of(self.text)


_made: dict[str, Made] = {}
_making = Lock()


def version_of(text: str) -> str:
    """A short name of a text: another one has another name."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def script_text(page: str) -> str:
    """The script of a page, or of a part of the widget: an expression without a semicolon, so that the widget's can be called."""
    return _current(f"{page}/main.js").text


def address_of(page: str) -> str:
    """The address of an operators' page's script, with its version."""
    return f"{reverse('script', args=[page])}?{_current(f'{page}/main.js').version()}"


def styles_text(name: str) -> str:
    """A file of styles."""
    return _current(name).text


def _current(name: str) -> Made:
    with _making:  # those who ask at the same time wait for one process to be done
        if (made := _made.get(name)) is None or not made.is_current():
            made = _made[name] = _make(name)
    return made


def _make(name: str) -> Made:
    if name.endswith(".js"):
        first = BEHIND.get(name.partition("/")[0])
        script = join(SOURCES / name, behind=SOURCES / first / "main.js" if first else None)
        text, files, kind = script.text, script.files, Kind.SCRIPT
    else:
        text, files, kind = (SOURCES / name).read_text(encoding="utf-8"), (SOURCES / name,), Kind.STYLES
    stamps = {file: file.stat().st_mtime for file in files}
    try:
        text = shortened(text, kind)
    except CannotShortenError as problem:  # longer, but it does the same
        logger.error("%s is served as it was written: %s", name, problem)
    return Made(text.strip().removesuffix(";"), stamps)


@lru_cache(maxsize=MOST_PACKED)
def packed(body: str, encoding: str) -> bytes:
    """A body compressed as well as can be, once: it holds nothing of anybody, so nothing can be guessed from its length."""
    return brotli.compress(body.encode()) if encoding == "br" else gzip.compress(body.encode(), mtime=0)


def public(request: HttpRequest, body: str, content_type: str, kept: str) -> HttpResponse:
    """Cacheable as `kept` says, for every origin, compressed where that is understood, with an ETag of what it holds."""
    tag = f'"{hashlib.sha256(body.encode()).hexdigest()[:24]}"'
    known = {word.strip().removeprefix("W/") for word in request.headers.get("If-None-Match", "").split(",")}
    encoding = accepted(request.headers.get("Accept-Encoding", ""), ("br", "gzip")) if len(body) >= LEAST_PACKED else ""
    if tag in known:
        response = HttpResponse(status=304)
    else:
        response = HttpResponse(packed(body, encoding) if encoding else body, content_type=content_type)
        if encoding:
            response["Content-Encoding"] = encoding
    response["ETag"] = f"W/{tag}" if encoding else tag  # the bytes differ, what they say does not
    response["Cache-Control"] = f"public, {kept}"
    response["Access-Control-Allow-Origin"] = "*"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    patch_vary_headers(response, ["Accept-Encoding"])
    return response


@require_safe
def operators_script(request: HttpRequest, name: str) -> HttpResponse:
    """The script of an operators' page; it holds nothing of anybody, so it asks for no login."""
    if name not in PAGES:
        raise Http404
    return public(request, f"{script_text(name)};\n", JAVASCRIPT, f"max-age={FRESH}")


urlpatterns = [path("workspace/scripts/<slug:name>.js", operators_script, name="script")]
