"""The archive: every dialog an operator may see, open or closed, found by words and filters, newest first (Q13, Q3, Q5).

`read` turns an address into a question without a database; `found` answers it, a page at a time.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Window
from django.utils.translation import gettext as _

from dialogs.models import OPEN_STATES, Dialog, StartState, State
from dialogs.reading import queues, search, search_terms
from dialogs.reading.search_index import search_index
from operators.models import Operator
from webim_offline.foundation.database.prepared import Asked, prepared
from webim_offline.foundation.numbers import whole_number

PAGE = 30
MOST_EARLIER = 10  # on the page of a dialog
LONGEST_QUESTION = 200  # characters
YEARS = range(2000, 2101)
OPEN, CLOSED = "open", "closed-all"  # beside the values of State
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
NUMBER = re.compile(r"([#＃№]?)\s*([0-9]{1,18})")  # the signs that stand before a number; ＃ is the one of Asian keyboards

# So many texts with the words are taken from the index, and their dialogs put in order. Words that are in more of them are
# looked for in the newest dialogs first, in so many and then so many, and in all only if these do not fill a page (decision 0014).
FEW = 2_000
NEWEST = (300, 2_000)


@dataclass(frozen=True)
class Choices:
    """What the filters offer a person: keys of the own account. Operators are supervisors' to choose."""

    departments: Collection[int] = ()
    languages: Collection[int] = ()
    operators: Collection[int] = ()


@dataclass(frozen=True)
class Question:
    """What somebody asks the archive for; the default is everything there is."""

    text: str = ""
    number: int | None = None  # of a dialog, if the text is one
    only_number: bool = False  # written with #: texts are not searched
    since: date | None = None
    until: date | None = None  # the last day of the period
    department: int | None = None
    language: int | None = None
    operator: int | None = None
    start_state: str = ""
    current_state: str = ""  # of an open dialog: one of StartState
    state: str = ""  # one of State, OPEN or CLOSED
    visitor_of: int | None = None  # a dialog's number: its visitor's dialogs
    before: int | None = None  # a dialog's number: what comes after it
    errors: Mapping[str, str] = field(default_factory=dict)  # by the name of the parameter; nothing is looked up then


# ----- reading -----


def read(parameters: Mapping[str, str], choices: Choices) -> Question:
    """The question of an address, or what is wrong with it, in sentences (errors)."""
    errors: dict[str, str] = {}
    given = {name: parameters.get(name, "").strip() for name in NAMES}
    for name, value in given.items():
        if "\x00" in value:
            errors[name] = _("There is a sign in it that no text can have. Write it again.")
    if len(given["q"]) > LONGEST_QUESTION:
        errors["q"] = _("The search is too long: at most %(count)s characters.") % {"count": LONGEST_QUESTION}
    elif given["q"] and "q" not in errors and not search_terms.parsed(given["q"]):
        errors["q"] = _("There is neither a word nor a number in the search. Write a word, a name, a mail address or a number.")
    text, number, only_number = _text(given["q"])
    since, until = _day(given, "since", errors), _day(given, "until", errors)
    if since and until and until < since:
        errors["until"] = _("The period ends before it begins.")
    state = _one_of(given, "state", [*State.values, OPEN, CLOSED], errors)
    current_state = _one_of(given, "current_state", StartState.values, errors)
    if current_state and state and state not in (OPEN, *OPEN_STATES):
        errors["current_state"] = _("Only an open dialog is online or offline now.")
    return Question(
        text=text,
        number=number,
        only_number=only_number,
        since=since,
        until=until,
        department=_chosen(given, "department", choices.departments, errors),
        language=_chosen(given, "language", choices.languages, errors),
        operator=_chosen(given, "operator", choices.operators, errors),
        start_state=_one_of(given, "start_state", StartState.values, errors),
        current_state=current_state,
        state=state,
        visitor_of=_dialog(given, "visitor_of", errors),
        before=_dialog(given, "before", errors),
        errors=errors,
    )


NAMES = (
    "q",
    "since",
    "until",
    "department",
    "language",
    "operator",
    "start_state",
    "current_state",
    "state",
    "visitor_of",
    "before",
)


def _text(given: str) -> tuple[str, int | None, bool]:
    """(text, number, whether nothing but the number is meant). № does not say so: it stands before numbers of orders, too."""
    if is_number := NUMBER.fullmatch(given):
        return is_number[2], whole_number(is_number[2]), is_number[1] in ("#", "＃")
    return given, None, False


def _day(given: Mapping[str, str], name: str, errors: dict[str, str]) -> date | None:
    if not given[name] or name in errors:
        return None
    try:
        day = date.fromisoformat(given[name]) if DAY.fullmatch(given[name]) else None
    except ValueError:
        day = None
    if day is None or day.year not in YEARS:
        errors[name] = _("Write a day of the calendar as year, month and day: 2026-11-25.")
        return None
    return day


def _chosen(given: Mapping[str, str], name: str, offered: Collection[int], errors: dict[str, str]) -> int | None:
    if not given[name] or name in errors:
        return None
    key = whole_number(given[name])
    if key not in offered:
        errors[name] = _("There is no such choice any more. Choose another.")
        return None
    return key


def _one_of(given: Mapping[str, str], name: str, offered: Collection[str], errors: dict[str, str]) -> str:
    if given[name] and name not in errors and given[name] not in offered:
        errors[name] = _("There is no such choice any more. Choose another.")
        return ""
    return given[name]


def _dialog(given: Mapping[str, str], name: str, errors: dict[str, str]) -> int | None:
    if not given[name] or name in errors:
        return None
    number = whole_number(given[name])
    if number is None:
        errors[name] = _("This page of the archive is not there. Begin with the newest dialogs.")
    return number


# ----- answering -----


@dataclass(frozen=True)
class Found:
    """One page of the archive. `next` is the number to ask for the page after it with; None: this is the last one."""

    dialogs: list[Dialog]
    next: int | None = None
    sought: search.Terms | None = None
    error: tuple[str, str] | None = None  # (parameter, sentence): what only the database could tell


def found(question: Question, operator: Operator) -> Found:
    """The page that a question without errors asks for; a dialog whose number was searched for comes first.

    Raises ValueError for a person without an account: support staff have no workspace and no archive.
    """
    account = operator.account
    if account is None:
        raise ValueError("only people of an account have an archive")
    rows = _filtered(question, operator, ZoneInfo(account.time_zone))
    after, missing = _last_of_page_before(question.before, operator)
    if missing:
        return Found([], error=("before", _("This page of the archive is not there. Begin with the newest dialogs.")))
    if after is not None:
        rows = rows.filter(created_at__lte=after.created_at).filter(~Q(created_at=after.created_at) | Q(pk__lt=after.pk))
    rows = rows.order_by("-created_at", "-pk")
    if question.only_number:
        return Found(list(_shown(rows.filter(number=question.number or 0))))
    if not question.text:
        return _page(rows, None)
    sought = search.terms(question.text)
    if not sought.index:
        return Found([], error=("q", _("These words are in nearly every dialog. Add a rarer one.")))
    first: list[Dialog] = []
    if question.number is not None:
        if after is None:
            first = list(_shown(rows.filter(number=question.number)))
        rows = rows.exclude(number=question.number)
    return _page(rows, sought, account.pk, first)


def earlier(dialog: Dialog, operator: Operator) -> Asked[Dialog]:
    """Other dialogs of the same visitor that the operator may see, newest first; each with the count of all of them (`others`)."""
    return _earlier.asked(*queues.reader(operator), dialog.visitor_id, dialog.pk)


@prepared
def _earlier(account_id: int, operator_id: int | None, visitor_id: int, dialog_id: int) -> QuerySet[Dialog]:
    rows = queues.visible(account_id, operator_id)
    rows = rows.filter(visitor=visitor_id).exclude(pk=dialog_id)
    return rows.annotate(others=Window(Count("pk"))).order_by("-created_at", "-pk")[:MOST_EARLIER]


def _filtered(question: Question, operator: Operator, zone: ZoneInfo) -> QuerySet[Dialog]:
    """The dialogs the operator may see that the question's filters leave; days are those of the time zone."""
    rows = queues.visible_to(operator)
    if question.since:
        rows = rows.filter(created_at__gte=_midnight(question.since, zone))
    if question.until:
        rows = rows.filter(created_at__lt=_midnight(question.until + timedelta(days=1), zone))
    if question.visitor_of is not None:
        whose = queues.visible_to(operator).filter(number=question.visitor_of)
        rows = rows.filter(visitor__in=whose.order_by().values("visitor"))
    if question.current_state:
        # open, said so that the indexes dialog_queue and dialog_held can find the few among all that there ever were
        has_operator = Q(state__in=OPEN_STATES, operator__isnull=False)
        rows = rows.filter(Q(state=State.QUEUE, operator=None) | has_operator)
        rows = rows.filter(is_offline=question.current_state == StartState.OFFLINE)
    if question.state:
        states = {OPEN: OPEN_STATES, CLOSED: [state for state in State if state not in OPEN_STATES]}
        rows = rows.filter(state__in=states.get(question.state, [question.state]))
    equals = {
        "department": question.department,
        "language": question.language,
        "operator": question.operator,
        "start_state": question.start_state,
    }
    return rows.filter(**{name: value for name, value in equals.items() if value})


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)


def _last_of_page_before(number: int | None, operator: Operator) -> tuple[Dialog | None, bool]:
    """(the dialog a page begins after, whether there is none of that number)."""
    if number is None:
        return None, False
    # of the account: it may have gone to where the reader does not see it since the page before
    dialog = Dialog.objects.only("created_at").filter(account=operator.account_id, number=number).first()
    return dialog, dialog is None


def _shown(rows: QuerySet[Dialog]) -> QuerySet[Dialog]:
    return rows.select_related("visitor", "department", "language", "operator")


def _page(rows: QuerySet[Dialog], sought: search.Terms | None, account_id: int = 0, first: list[Dialog] | None = None) -> Found:
    dialogs = list(_shown(rows)[: PAGE + 1]) if sought is None else _searched(rows, sought, account_id)
    shown = dialogs[:PAGE]
    return Found([*(first or []), *shown], shown[-1].number if len(dialogs) > PAGE else None, sought)


def _searched(rows: QuerySet[Dialog], sought: search.Terms, account_id: int) -> list[Dialog]:
    """The newest of the rows with what is searched for: one more than a page holds, if there are so many."""
    texts = search.found(sought, account_id)
    index = search_index()
    with index.preferred():
        keys = list(texts.values_list("dialog", flat=True)[: FEW + 1])
        if len(keys) > FEW:
            has_it = Exists(texts.filter(dialog=OuterRef("pk")))
            for most in NEWEST:
                newest = list(rows.values_list("pk", flat=True)[:most])
                dialogs = list(_shown(rows.filter(has_it, index.one_of(newest)))[: PAGE + 1])
                if len(dialogs) > PAGE or len(newest) < most:
                    return dialogs
            keys = list(texts.values_list("dialog", flat=True))
        return list(_shown(rows.filter(index.one_of(keys)))[: PAGE + 1])
