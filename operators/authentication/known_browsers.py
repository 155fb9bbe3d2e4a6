"""Recognising browsers in which somebody has signed in before (X3).

Failed attempts to sign in are counted for each login, so a stranger who keeps guessing at a login could lock its owner out. To
prevent this, the failures of a browser in which the owner has signed in before are counted separately.

A signed cookie identifies such a browser. It holds a random name of the browser and the ids of the last people who signed in
there, each with a fingerprint of their password; when the password changes, the fingerprint no longer matches and the browser is
unknown again. The cookie is only sent to the pages under /accounts/. It gives no access: whoever steals it gets a separate count
of failures for these people, and nothing else. A forged cookie is ignored.
"""

import secrets
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare, salted_hmac

from operators.logins import login_key
from operators.models import Operator

COOKIE = "known_browser"
PATH = "/accounts/"
SALT = "operators.authentication.known_browsers"
LASTS = 180 * 24 * 3600  # seconds; counted from the last time somebody signed in
MOST_PEOPLE = 8  # people that one cookie remembers; the latest ones are kept


def known_as(request: HttpRequest, name: str) -> str:
    """Return the key by which failures of the login `name` in this browser are counted.

    Returns an empty string if nobody with that login has signed in here before, or if their password has changed since then.
    """
    browser, people = _read(request)
    for person in Operator.objects.filter(pk__in=people).only("username", "password") if people else ():
        is_same = login_key(person.username) == login_key(name)
        if is_same and constant_time_compare(people[person.pk], _fingerprint(person)):
            return f"{browser}:{person.pk}"
    return ""


def remember(request: HttpRequest, response: HttpResponse, operator: Operator) -> None:
    """Set the cookie on `response`, because `operator` has just signed in with the right password in this browser."""
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
    """Return the browser's name and its people's fingerprints by operator id, as the cookie says.

    Both are empty if there is no cookie, if its signature is wrong, or if it is older than LASTS.
    """
    try:
        told: Any = signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=LASTS)
    except signing.BadSignature:
        return "", {}
    return told[0], dict(told[1])


def _fingerprint(operator: Operator) -> str:
    return salted_hmac(SALT, operator.password, algorithm="sha256").hexdigest()[:32]
