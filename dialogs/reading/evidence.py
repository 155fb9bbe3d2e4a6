"""Telling in one sentence why a dialog started online or offline (S3, B3).

Everything that is told comes from `Dialog.evidence`, which was stored when the dialog started, and not from how things are today.
Sentences are in the reader's language.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils.translation import get_language, get_language_info, gettext, ngettext

from dialogs.models import Dialog, StartState
from operators.availability import is_effectively_online
from operators.models import Status

MOST_NAMES = 3


def start_sentence(dialog: Dialog) -> str:
    """Return the sentence that says who could have answered when the dialog started, and whether any of them was online."""
    evidence = dialog.evidence
    if dialog.start_state == StartState.ONLINE:
        return _online(evidence)
    return gettext("Started offline: %(reason)s.") % {"reason": _why_offline(evidence)}


def language_name(code: str) -> str:
    """Return the name of a language in the reader's language, as it is written inside a sentence.

    Returns the code itself if Django knows no such language.
    """
    try:
        name = str(get_language_info(code)["name_translated"])
    except KeyError:
        return code
    return name if (get_language() or "en").startswith("en") else name.lower()


def _online(evidence: Mapping[str, Any]) -> str:
    at = datetime.fromisoformat(evidence.get("judged_at", evidence["at"]))
    names = [
        person["name"]
        for person in evidence["candidates"]
        if is_effectively_online(person["status"], _seen(person), lease=evidence["lease"], now=at)
    ]
    return ngettext("Started online: %(names)s was online.", "Started online: %(names)s were online.", len(names)) % {
        "names": listed(names)
    }


def _why_offline(evidence: Mapping[str, Any]) -> str:
    """Return the reason, as a part of a sentence, by how many operators could have answered: none, one or several."""
    count = evidence["in_all"]
    words = {"department": evidence["department"], "language": language_name(evidence["language"]), "count": count}
    in_department = evidence["department"] is not None
    if count == 0:
        if in_department:
            return gettext("nobody in %(department)s speaks %(language)s") % words
        return gettext("no operator speaks %(language)s") % words
    if count == 1:
        words["name"] = evidence["candidates"][0]["name"]
        if in_department:
            reason = gettext("%(name)s, the only operator of %(department)s who speaks %(language)s, was not online") % words
        else:
            reason = gettext("%(name)s, the only operator who speaks %(language)s, was not online") % words
    elif in_department:
        reason = (
            ngettext(
                "none of the %(count)s operator of %(department)s who speak %(language)s was online",
                "none of the %(count)s operators of %(department)s who speak %(language)s was online",
                count,
            )
            % words
        )
    else:
        reason = (
            ngettext(
                "none of the %(count)s operator who speak %(language)s was online",
                "none of the %(count)s operators who speak %(language)s was online",
                count,
            )
            % words
        )
    return _with_silent(reason, evidence)


def _with_silent(reason: str, evidence: Mapping[str, Any]) -> str:
    """Add to the reason who had chosen Online, but whose workspace was silent for too long to count (A2).

    Without this the reason would look wrong to these people: as they remember it, they were online.
    """
    silent = [person["name"] for person in evidence["candidates"] if person["status"] == Status.ONLINE and person["seen"]]
    if not silent:
        return reason
    return gettext("%(reason)s; %(names)s had chosen Online, but the workspace had been silent for more than %(seconds)s s") % {
        "reason": reason,
        "names": listed(silent),
        "seconds": evidence["lease"],
    }


def _seen(person: Mapping[str, Any]) -> datetime | None:
    return datetime.fromisoformat(person["seen"]) if person["seen"] else None


def listed(names: Sequence[str]) -> str:
    """Return the names as an enumeration for a sentence: MOST_NAMES of them at most, and then how many more there are."""
    if len(names) <= 1:
        return "".join(names)
    if len(names) > MOST_NAMES:
        rest = len(names) - MOST_NAMES
        return ngettext("%(names)s and %(count)s more", "%(names)s and %(count)s more", rest) % {
            "names": ", ".join(names[:MOST_NAMES]),
            "count": rest,
        }
    return gettext("%(names)s and %(last)s") % {"names": ", ".join(names[:-1]), "last": names[-1]}
