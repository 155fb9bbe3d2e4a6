"""The archive's page: a search with filters over the dialogs an operator may see (Q13). A wrong question is a 400 that says why."""

from dataclasses import dataclass

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import path
from django.views.decorators.http import require_GET

from dialogs.models import LONGEST_PREVIEW, Dialog, StartState, State
from dialogs.reading import archive, search
from dialogs.reading.rights import person_of
from dialogs.reading.search_terms import Marks
from dialogs.rules.permissions import may_supervise
from dialogs.templatetags.dialog_tags import language_name, visitor_name
from dialogs.views.access import operators_search
from dialogs.views.live_page import live_context
from operators.models import Account, Operator
from operators.requests import OperatorRequest
from webim_offline.foundation.database import stemming

FILTERS = set(archive.NAMES) - {"q", "before", "visitor_of"}
Choice = tuple[int, str]  # a filter's value and its words


@dataclass(frozen=True)
class Hit:
    """A dialog that was found, in pieces of which some are marked. Contacts are shown when something in them was found."""

    dialog: Dialog
    name: list[search.Piece]
    contacts: list[search.Piece]
    excerpt: list[search.Piece]


@require_GET
@operators_search
def archive_page(request: OperatorRequest) -> HttpResponse:
    """The form as it was filled in, and a page of what it finds."""
    operator = request.user
    filters = _filters(operator)
    keys = {name: [key for key, _words in offered] for name, offered in filters.items()}
    choices = archive.Choices(**keys)
    question = archive.read(request.GET, choices)
    errors = dict(question.errors)
    found = archive.Found([]) if errors else archive.found(question, operator)
    if found.error:
        errors |= [found.error]
    context = {
        **live_context(operator),
        "given": {name: request.GET.get(name, "") for name in archive.NAMES},
        "errors": errors,
        "filters": filters,
        "kinds": StartState.choices,
        "states": State.choices,
        "is_narrowed": any(request.GET.get(name) for name in FILTERS),
        "asks": any(request.GET.get(name) for name in archive.NAMES),
        "hits": hits(found),
        "next": found.next,
        "longest": archive.LONGEST_QUESTION,
    }
    return render(request, "dialogs/archive.html", context, status=400 if errors else 200)


def _filters(operator: Operator) -> dict[str, list[Choice]]:
    """What can be chosen: the own departments and languages, archived ones too; a supervisor has all, and the operators (Q3)."""
    supervises = may_supervise(person_of(operator, with_routes=False), operator.account_id)
    whose: Account | Operator = operator.own_account if supervises else operator
    people: list[Choice] = []
    if supervises:
        people = list(Operator.objects.filter(account=operator.account_id).order_by("name", "pk").values_list("pk", "name"))
    languages = whose.languages.order_by("position", "pk").values_list("pk", "code")
    return {
        "departments": list(whose.departments.order_by("name", "pk").values_list("pk", "name")),
        "languages": [(key, language_name(code)) for key, code in languages],
        "operators": people,
    }


def hits(found: archive.Found) -> list[Hit]:
    """The dialogs of a page as it shows them; one query more when words were searched for."""
    if found.sought is None:
        return [_hit(dialog, _last_text(dialog), Marks()) for dialog in found.dialogs]
    passages = search.passages(found.sought, [dialog.pk for dialog in found.dialogs])
    return [_hit(dialog, passages.get(dialog.pk) or _last_text(dialog), found.sought.marks) for dialog in found.dialogs]


def _last_text(dialog: Dialog) -> str:
    """Return the preview of a dialog. One that was stored before previews had an ellipsis gets it here, if it was cut."""
    text = dialog.last_text
    return f"{text}…" if len(text) == LONGEST_PREVIEW and not text.endswith("…") else text


def _hit(dialog: Dialog, text: str, marks: Marks) -> Hit:
    visitor = dialog.visitor
    contacts = search.marked(visitor.email, marks)
    if any(marks.has(digits) for digits in stemming.phone_digits(visitor.phone).split()):
        phone = [(visitor.phone, True)]  # found as a whole number
    else:
        phone = search.marked(visitor.phone, marks)
    if contacts and phone:
        contacts.append((" · ", False))
    contacts += phone
    shows_contacts = any(is_hit for _text, is_hit in contacts)
    return Hit(
        dialog,
        search.marked(visitor_name(visitor), marks),
        contacts if shows_contacts else [],
        search.excerpt(text, marks),
    )


urlpatterns = [path("workspace/archive/", archive_page, name="archive")]
