"""Keys that random generators make are taken; short, published and invented ones are told apart from them (item of SECRET_KEY)."""

import base64
import re
import secrets
import string
import subprocess

import pytest
from django.core.management.utils import get_random_secret_key

from tests.running import ROOT
from webim_offline.foundation.secret_strength import weakness

# what people generate. Of 43 characters of base64 one in ten thousand looks like words: twenty tries, all but two must pass.
GENERATORS = {
    "openssl rand -hex 32": lambda: secrets.token_hex(32),
    "openssl rand -hex 20": lambda: secrets.token_hex(20),
    "openssl rand -base64 32": lambda: base64.b64encode(secrets.token_bytes(32)).decode(),
    "openssl rand -base64 48": lambda: base64.b64encode(secrets.token_bytes(48)).decode(),
    "token_urlsafe(48)": lambda: secrets.token_urlsafe(48),
    "token_urlsafe()": secrets.token_urlsafe,
    "django": get_random_secret_key,
    "letters": lambda: "".join(secrets.choice(string.ascii_letters) for _ in range(50)),
    "small letters": lambda: "".join(secrets.choice(string.ascii_lowercase) for _ in range(50)),
    "digits": lambda: "".join(secrets.choice(string.digits) for _ in range(78)),
}


@pytest.mark.parametrize("make", GENERATORS.values(), ids=GENERATORS)
def test_a_random_key_is_taken(make):
    assert sum(not weakness(make()) for _ in range(20)) >= 18


@pytest.mark.parametrize("before", ["django-insecure-", "secret:"])
def test_a_random_key_is_taken_whatever_word_stands_before_it(before):
    assert sum(not weakness(before + secrets.token_urlsafe(48)) for _ in range(20)) >= 18


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        ("x", "shorter"),
        ("change-this", "shorter"),
        ("change-this" * 6, "example"),
        ("django-insecure-" + "h3$k9!vq0z7(m2^x5@r8&c1*b4)n6" * 2, "repeats"),
        ("s" * 50, "different characters"),
        ("deadbeef" * 8, "different characters"),
        ("0123456789abcdef" * 4, "repeats"),
        ("kD8vQ2zLxW" * 5, "repeats"),
        ("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "row"),
        ("1234567890-2345678901-3456789012-4567890123-5678901234", "repeats"),
        ("correct horse battery staple, and nobody will ever find that", "words"),
        ("ThisIsTheLongestKeyOfOurCompanyNorthTea2026!!", "words"),
        ("passport-tango-lima-wheat-orbit-canvas-glide-mirth", "words"),
        ("nash ochen dlinnyj klyuch dlya razgovorov s posetitelyami", "words"),
        ("наш очень длинный ключ для разговоров с посетителями сайта", "words"),
        # these stood in this repository
        ("ci-EMQ2n8vRw6uJkTz4bXcYh1sLpDfG9aVtKx3oNe7iUyB0-and-some-more", "example"),
        ("a secret key for tests only, long enough to be taken for a real one", "words"),
        ("a secret key of a deployment for tests only, long enough to be taken for a real one", "words"),
        ("of a benchmark", "shorter"),
    ],
)
def test_what_is_none_is_told(key, fault):
    assert fault in weakness(key)


def test_no_key_that_stands_in_this_repository_starts_a_production_service():
    """Whoever copies one from docs, tests or our checks copies a known one."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    found = []
    for name in filter(None, listed):
        try:
            text = (ROOT / name).read_text()
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
        found += [value for value in re.findall(r"""SECRET_KEY["']?\s*[:=,]\s*["']?([^\s"',)]+)""", text) if not weakness(value)]
    assert [value for value in found if re.fullmatch(r"[\w+/=-]+", value) and "." not in value] == []
