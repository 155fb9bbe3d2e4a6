"""Browsers in which somebody has signed in before: a stranger who guesses at their login must not keep them out.

A signed cookie, sent only to the pages under /accounts/, names the browser and the last few people who signed in there, each with a
fingerprint that ends with their password. It opens nothing: all it gives is a count of failures of its own (X3), so that a stolen
one is worth as many guesses as any other browser has, for these people only, and a forged one nothing.
"""

import secrets
import unicodedata
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare, salted_hmac

from operators.models import Operator

COOKIE = "known_browser"
PATH = "/accounts/"
SALT = "operators.known_browsers"
LASTS = 180 * 24 * 3600  # seconds since the last time somebody signed in
MOST_PEOPLE = 8  # of one browser, the latest


def plain_name(name: str) -> str:
    """A login as limits count it, however it is written."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def known_as(request: HttpRequest, name: str) -> str:
    """By what the failures of `name` in this browser are counted; empty where nobody of that name has signed in here before."""
    browser, people = _read(request)
    for person in Operator.objects.filter(pk__in=people).only("username", "password") if people else ():
        is_same = plain_name(person.username) == plain_name(name)
        if is_same and constant_time_compare(people[person.pk], _fingerprint(person)):
            return f"{browser}:{person.pk}"
    return ""


def remember(request: HttpRequest, response: HttpResponse, operator: Operator) -> None:
    """`operator` has just given the right password in this browser."""
    browser, people = _read(request)
    people.pop(operator.pk, None)
    latest = [*people.items(), (operator.pk, _fingerprint(operator))][-MOST_PEOPLE:]
    response.set_cookie(
        COOKIE,
        signing.dumps([browser or secrets.token_urlsafe(16), latest], salt=SALT),
        max_age=LASTS,
        path=PATH,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _read(request: HttpRequest) -> tuple[str, dict[int, str]]:
    """The browser's name and the fingerprints by operator id; empty for a cookie that is not ours, or too old."""
    try:
        told: Any = signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=LASTS)
    except signing.BadSignature:
        return "", {}
    return told[0], dict(told[1])


def _fingerprint(operator: Operator) -> str:
    return salted_hmac(SALT, operator.password, algorithm="sha256").hexdigest()[:32]
