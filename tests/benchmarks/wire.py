"""How many bytes a page gets before anybody opens the widget: its first part and the short answer of the session.

The answers are those of the service, as they would go over the wire; heads are not counted, and frames of the stream have no body.
"""

import json

from django.test import Client

from tests import people

BROWSERS = {"br": "gzip, deflate, br, zstd", "gzip": "gzip, deflate"}


def sent(slug: str, language: str, encodings: str) -> int:
    """Of one page of somebody new."""
    client = Client(headers={"Accept-Encoding": encodings, "Host": "127.0.0.1"})
    script = client.get(f"/widget/{slug}.js")
    page = {"url": "https://shop.example/tea", "title": "Tea"}
    asked = {"account": slug, "token": "", "visit": "0123456789abcdef" * 2, "department": "support", "language": language}
    session = client.post("/widget/api/session", json.dumps(asked | {"page": page, "brief": True}), content_type="text/plain")
    assert (script.status_code, session.status_code) == (200, 200), session.content
    return len(script.content) + len(session.content)


def measure() -> tuple[float, str, str, float]:
    account = people.make_account(left_messages_email="left@north.example")
    sizes = {
        (encoding, language): max(sent(account.slug, language, header) for _ in range(20))  # random bytes are added (BREACH)
        for encoding, header in BROWSERS.items()
        for language in ("en", "ru")
    }
    note = ", ".join(f"{encoding} {language}: {size}" for (encoding, language), size in sizes.items())
    return max(sizes.values()), "bytes", f"the most of 20 pages each; {note}", 8000
