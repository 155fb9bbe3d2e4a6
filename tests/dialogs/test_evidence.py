"""The sentence that says why a dialog started online or offline (S3)."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import translation

from dialogs.models import Dialog
from dialogs.reading.evidence import start_sentence
from tests import people

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def person(name: str, status: str = "offline", seen_ago: float | None = None) -> dict:
    seen = None if seen_ago is None else (NOON - timedelta(seconds=seen_ago)).isoformat()
    return {"id": 1, "name": name, "status": status, "seen": seen}


def dialog(
    start_state: str, *candidates: dict, department: str | None = "Support", language: str = "ru", in_all: int | None = None
):
    in_all = len(candidates) if in_all is None else in_all
    evidence = {"at": NOON.isoformat(), "department": department, "language": language, "lease": 60, "in_all": in_all}
    return Dialog(start_state=start_state, evidence=evidence | {"candidates": list(candidates)})


@pytest.mark.parametrize(
    ("started", "sentence"),
    [
        (dialog("offline"), "Started offline: nobody in Support speaks Russian."),
        (dialog("offline", department=None), "Started offline: no operator speaks Russian."),
        (
            dialog("offline", person("Anna")),
            "Started offline: Anna, the only operator of Support who speaks Russian, was not online.",
        ),
        (
            dialog("offline", person("Anna"), department=None),
            "Started offline: Anna, the only operator who speaks Russian, was not online.",
        ),
        (
            dialog("offline", person("Anna"), person("Boris", "lunch", 5), in_all=4),
            "Started offline: none of the 4 operators of Support who speak Russian was online.",
        ),
        (
            dialog("offline", person("Anna"), person("Boris"), department=None, language="en"),
            "Started offline: none of the 2 operators who speak English was online.",
        ),
        (
            dialog("offline", person("Anna", "online", 90), person("Boris")),
            (
                "Started offline: none of the 2 operators of Support who speak Russian was online;"
                " Anna had chosen Online, but the workspace had been silent for more than 60 s."
            ),
        ),
        (
            dialog("offline", person("Anna", "online", None), person("Boris"), language="xyz"),
            "Started offline: none of the 2 operators of Support who speak xyz was online.",
        ),
        (dialog("online", person("Anna", "online", 1)), "Started online: Anna was online."),
        (
            dialog(
                "online", person("Anna", "online", 1), person("Boris", "online", 60), person("Vera", "online", 61), person("Gleb")
            ),
            "Started online: Anna and Boris were online.",
        ),
        (
            dialog("online", *(person(name, "online", 1) for name in ("Anna", "Boris", "Vera", "Gleb", "Dina"))),
            "Started online: Anna, Boris, Vera and 2 more were online.",
        ),
    ],
)
def test_the_sentence(started, sentence):
    with translation.override("en"):
        assert start_sentence(started) == sentence


def test_a_real_start_keeps_what_the_sentence_needs(account, anna, boris):
    with translation.override("en"):
        offline = start_sentence(people.start_dialog(account, language="ru"))
        assert offline == "Started offline: none of the 2 operators of Support who speak Russian was online."
        nobody = start_sentence(people.start_dialog(account, department="sales", language="en"))
        assert nobody == "Started offline: nobody in Sales speaks English."
        people.go_online(boris)
        assert start_sentence(people.start_dialog(account)) == "Started online: Boris was online."
