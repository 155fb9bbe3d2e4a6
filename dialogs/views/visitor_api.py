"""The visitor API under /widget/api/: what the widget asks and tells (W, M10, B1, X2, X3, X5).

Every request is a POST whose body is JSON sent as text/plain, without cookies, from any origin: the visitor's token in
the body is the only proof, so no request needs a preflight and none carries ambient rights. An error is
`{"detail": sentence, "fields": {field: sentence}, "retry_after": seconds}` with a fitting 4xx.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext as _
from rest_framework import status
from rest_framework.exceptions import (
    APIException,
    NotFound,
    ParseError,
    PermissionDenied,
    Throttled,
    UnsupportedMediaType,
    ValidationError,
)
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView, exception_handler

from dialogs.actions import visitors
from dialogs.actions.conversation import (
    Contacts,
    Submission,
    close_by_visitor,
    leave_contacts,
    missing_contacts,
    visitor_writes,
)
from dialogs.actions.errors import ContactsMissing, DialogClosed
from dialogs.contact_form import ContactForm, contact_form
from dialogs.live import tickets
from dialogs.models import OPEN_STATES, REOPENABLE_STATES, Dialog, MessageKind, StartState, State, Visitor
from dialogs.throttles import enforce
from dialogs.views import visitor_input as accepts
from dialogs.views.widget_texts import texts, way_of_answer
from operators.availability import service_states
from operators.models import Account, Department, Language
from webim_offline.client_address import client_network
from webim_offline.database_clock import database_now
from webim_offline.errors import COME_AGAIN, DATABASE_AWAY, too_long, took_too_long
from webim_offline.security_log import Event, Outcome, record_request

MOST_MESSAGES = 200  # of one answer (X3); a client asks again for the rest


class UnknownToken(APIException):
    status_code = status.HTTP_401_UNAUTHORIZED
    default_code = "unknown_token"

    def __init__(self) -> None:
        super().__init__(_("This conversation is not known here: reload the page."))


class Conflict(APIException):
    status_code = status.HTTP_409_CONFLICT


class Unavailable(APIException):
    """The database is away, or too slow; the client keeps what it has and comes again."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    wait = COME_AGAIN

    def __init__(self, error: BaseException | None = None) -> None:
        super().__init__(too_long() if took_too_long(error) else _("This cannot be done right now. Try again in a moment."))


def _sentences(detail: Any) -> str:
    """The first sentence of an error detail, however deep it lies."""
    while isinstance(detail, (list, Mapping)):
        detail = next(iter(detail.values() if isinstance(detail, Mapping) else detail), "")
    return str(detail)


# what is told to the security log, by kind of error; what people mistype is not
NOTED = (
    (Throttled, Event.LIMIT, Outcome.LIMITED),
    ((UnknownToken, PermissionDenied), Event.DENIAL, Outcome.REFUSED),
    ((ParseError, UnsupportedMediaType, accepts.TooLarge), Event.INPUT, Outcome.REFUSED),
)


def _note(error: Exception, context: dict[str, Any]) -> None:
    for kinds, event, outcome in NOTED:
        if isinstance(error, kinds):
            account = getattr(context["view"], "account", None)
            reason = str(error.get_codes())
            record_request(context["request"], event, outcome, reason=reason, account_id=account.pk if account else None)


def _problem(error: Exception, context: dict[str, Any]) -> Response | None:
    if isinstance(error, DATABASE_AWAY):
        error = Unavailable(error)
    _note(error, context)
    response = exception_handler(error, context)
    if response is None or not isinstance(error, APIException):
        return response
    answer: dict[str, Any] = {"detail": _sentences(error.detail)}
    if isinstance(error, ValidationError):
        fields = dict(error.detail) if isinstance(error.detail, dict) else {}
        contacts = fields.pop("contacts", None)
        if isinstance(contacts, Mapping):
            fields |= contacts
        elif contacts:
            fields["contacts"] = contacts
        answer["fields"] = {name: _sentences(detail) for name, detail in fields.items()}
    if (wait := getattr(error, "wait", None)) is not None:
        answer["retry_after"] = int(wait)
    response.data = answer
    return response


class VisitorView(APIView, ABC):
    """One verb of the visitor API; subclasses say what they accept and what they answer."""

    http_method_names = ["post"]
    parser_classes = [accepts.TextParser, accepts.BoundedJSONParser]
    accepts: type[Serializer]

    @property
    def default_response_headers(self) -> dict[str, str]:
        return super().default_response_headers | {
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Expose-Headers": "Retry-After",
            "Cache-Control": "no-store",
        }

    def get_exception_handler(self) -> Any:
        return _problem

    def post(self, request: Request) -> Response:
        self.speak(request.data)
        self.account = self.find_account(request.data)
        self.check_site(request)
        serializer = self.accepts(data=request.data, context={"form": self.form})
        serializer.is_valid(raise_exception=True)
        return self.answer(request, serializer.validated_data)

    @abstractmethod
    def answer(self, request: Request, given: dict[str, Any]) -> Response:
        """The verb itself, on input that was understood."""

    @staticmethod
    def speak(data: Any) -> None:
        """Answer in the language the widget shows; `bare_addresses` takes it back afterwards."""
        language = data.get("language") if isinstance(data, dict) else None
        if isinstance(language, str) and language in dict(settings.LANGUAGES):
            translation.activate(language)

    def find_account(self, data: Any) -> Account:
        serializer = accepts.AccountSerializer(data=data)
        serializer.is_valid(raise_exception=True)
        account = Account.objects.filter(slug=serializer.validated_data["account"], archived_at=None).first()
        if account is None:
            raise NotFound(_("There is no such account."))
        self.form = contact_form(account, list(account.contact_fields.all()))
        return account

    def check_site(self, request: Request) -> None:
        """X5: an account that lists its sites is served there alone."""
        listed = self.account.origins
        if listed and request.headers.get("Origin") not in listed:
            raise PermissionDenied(_("This chat is not for this site."), code="foreign site")

    form: ContactForm

    def find_visitor(self, token: str) -> Visitor:
        visitor = visitors.recognise(self.account, token)
        if visitor is None:
            enforce("unknown_token", client_network(self.request))
            raise UnknownToken
        return visitor

    # ----- what the answers are made of -----

    def find_place(self, given: Mapping[str, Any]) -> tuple[Department | None, Language]:
        """The department and language that exist for what was asked (A5)."""
        languages = list(self.account.languages.filter(archived_at=None))
        if not languages:
            raise NotFound(_("This account is not ready: it has no language."))
        by_code = {language.code: language for language in languages}
        asked = (tag.replace("_", "-").split("-")[0].lower() for tag in _asked_languages(given))
        language = next((by_code[code] for code in asked if code in by_code), languages[0])
        department = None
        if given["department"]:
            department = self.account.departments.filter(slug=given["department"], archived_at=None).first()
        return department, language

    def ticket(self, visitor: Visitor, visit: str, department: Department | None, language: Language) -> str:
        """X5: for the live app only; useless for reading or writing."""
        claims = {"a": self.account.pk, "v": visitor.pk, "k": visit, "d": department.pk if department else None, "l": language.pk}
        if visitor._state.adding:
            claims["n"] = visitor.token_digest
        return tickets.issue(tickets.VISIT, claims)

    def missing(self, visitor: Visitor) -> list[str]:
        """Names of the contacts a left message of this visitor would lack."""
        known = Contacts(visitor.name, visitor.email, visitor.phone, visitor.own_fields)
        blank = Submission(text="", key="", required_own=self.form.required_own)
        return self.form.names_of(missing_contacts(self.account, blank, known))

    def conversation(self, visitor: Visitor, *, number: int = 0, after: int = 0) -> dict[str, Any] | None:
        """What the visitor may see of the newest open dialog, else of the last one (W4, P11); None before the first."""
        if visitor._state.adding:
            return None
        theirs = Dialog.objects.filter(visitor=visitor).select_related("operator").order_by("-pk")
        dialog = theirs.filter(state__in=OPEN_STATES).first() or theirs.first()
        if dialog is None:
            return None
        is_behind = dialog.number == number and after > dialog.revision  # the client's page is older than a restored backup
        if dialog.number != number or is_behind:
            after = 0
        messages = dialog.messages.filter(kind__in=[MessageKind.VISITOR, MessageKind.OPERATOR], revision__gt=after)
        messages = messages.select_related("author")
        # a client that knows nothing gets the newest ones, one that knows some the next ones
        newest = list(messages.order_by("revision" if after else "-revision")[: MOST_MESSAGES + 1])
        more, newest = len(newest) > MOST_MESSAGES, newest[:MOST_MESSAGES]
        shown = sorted(newest, key=lambda message: message.revision)
        return {
            "number": dialog.number,
            "open": dialog.is_open,
            "closed_by_visitor": dialog.state == State.CLOSED_BY_VISITOR,
            "reopens": dialog.is_reopenable,
            "started_offline": dialog.start_state == StartState.OFFLINE,
            "way": way_of_answer(dialog, visitor),
            "operator": dialog.operator.name if dialog.operator and dialog.state == State.CHATTING else "",
            "created_at": dialog.created_at,
            "revision": shown[-1].revision if more and after else dialog.revision,
            "more": bool(more and after),
            "cut": bool(more and not after),
            "anew": is_behind,
            "missing": self.missing(visitor),
            "messages": [
                {
                    "revision": message.revision,
                    "mine": message.kind == MessageKind.VISITOR,
                    "name": message.author.name if message.author else "",
                    "text": message.text,
                    "at": message.at,
                    "key": message.client_key if message.kind == MessageKind.VISITOR else "",
                }
                for message in shown
            ],
        }


def _asked_languages(given: Mapping[str, Any]) -> list[str]:
    return [tag for tag in (given["language"], *given["languages"]) if tag]


class SessionView(VisitorView):
    """A page begins: who the visitor is, the live ticket, the service state, every word and the conversation.

    Nothing is stored of somebody new: their token is signed, and what it stands for is stored with their first message.
    """

    accepts = accepts.SessionSerializer

    def answer(self, request: Request, given: dict[str, Any]) -> Response:
        enforce("visitor_session", client_network(request))
        department, language = self.find_place(given)
        new_token = ""
        if given["token"]:
            visitor = self.find_visitor(given["token"])
        else:
            new_token = visitors.new_token(self.account)
            visitor = self.find_visitor(new_token)
        place = (department.pk if department else None, language.pk)
        online = place in service_states([self.account.pk], database_now())[self.account.pk]
        answer = {
            "ticket": self.ticket(visitor, given["visit"], department, language),
            "service": "online" if online else "offline",
            "language": language.code,
            "account": self.account.name,
            "offline_mode": self.account.widget_offline_mode,
            "known": {"name": visitor.name, "email": visitor.email, "phone": visitor.phone}
            | {name: visitor.own_fields.get(label, "") for name, label in self.form.own.items()},
            "form": {
                "fields": [{"name": f.name, "label": f.label, "required": f.required} for f in self.form.fields],
                "either": self.form.either,
            },
            "longest": accepts.LONGEST_TEXT,
            "privacy_url": self.account.privacy_url,
            "offline_text": language.offline_text,
        }
        spoken = _spoken(language, given)
        with translation.override(spoken):
            answer["spoken"] = spoken
            answer["texts"] = texts(mail_only=not self.account.left_messages_in_workspace)
            answer["conversation"] = self.conversation(visitor)
        if new_token:
            answer["token"] = new_token
        return Response(answer)


def _spoken(language: Language, given: Mapping[str, Any]) -> str:
    """The language of the widget's words: the dialog's, or, where we have none for it, the visitor's first that we have."""
    ours = dict(settings.LANGUAGES)
    asked = [tag.replace("_", "-").split("-")[0].lower() for tag in _asked_languages(given)]
    return next((code for code in (language.code, *asked) if code in ours), settings.LANGUAGE_CODE)


class TicketView(VisitorView):
    """A fresh ticket for a page whose own one the live app no longer takes (X5)."""

    accepts = accepts.TicketSerializer

    def answer(self, request: Request, given: dict[str, Any]) -> Response:
        enforce("visitor_session", client_network(request))
        visitor = self.find_visitor(given["token"])
        return Response({"ticket": self.ticket(visitor, given["visit"], *self.find_place(given))})


class ConversationView(VisitorView):
    """The conversation after a revision: what a hint makes the widget read."""

    accepts = accepts.ConversationSerializer

    def answer(self, request: Request, given: dict[str, Any]) -> Response:
        visitor = self.find_visitor(given["token"])
        enforce("visitor_read", str(visitor.pk))
        enforce("visitor_read_address", client_network(request))
        return Response({"conversation": self.conversation(visitor, number=given["number"], after=given["after"])})


class MessagesView(VisitorView):
    """The visitor writes (W3, W4, B1): 201 for a message kept now, 200 for one kept before."""

    accepts = accepts.MessageSerializer

    def answer(self, request: Request, given: dict[str, Any]) -> Response:
        visitor = self.find_visitor(given["token"])
        enforce("visitor_write", str(visitor.pk))
        department, language = self.find_place(given)
        if self.may_start(visitor, department, language):
            enforce("dialog_start_visitor", str(visitor.pk))
            enforce("dialog_start_address", client_network(request))
        submission = Submission(
            text=given["text"],
            key=given["key"],
            department=department.slug if department else "",
            language=language.code,
            contacts=given["contacts"],
            from_form=given["from_form"],
            required_own=self.form.required_own,
            visit_key=given["visit"],
            page_url=given["page"]["url"],
            page_title=given["page"]["title"],
        )
        try:
            newcomer = visitor if visitor._state.adding else None
            written = visitor_writes(self.account.pk, visitor.pk, submission, newcomer=newcomer)
        except Visitor.DoesNotExist:
            raise UnknownToken from None  # forgotten meanwhile: the widget asks who it is and sends again
        except ContactsMissing as refusal:
            names = self.form.names_of(refusal.fields)
            raise ValidationError({name: [_("Fill in this field.")] for name in names}) from None
        conversation = self.conversation(self.find_visitor(given["token"]), number=given["number"], after=given["after"])
        created = status.HTTP_200_OK if written.repeated else status.HTTP_201_CREATED
        return Response({"number": written.dialog.number, "conversation": conversation}, created)

    def may_start(self, visitor: Visitor, department: Department | None, language: Language) -> bool:
        """Would a message start a dialog? An email-only one is joined only while nobody is online (M10)."""
        if visitor._state.adding:
            return True
        open_dialogs = list(Dialog.objects.filter(visitor=visitor, state__in=OPEN_STATES).values_list("email_only", "in_workspace"))
        if any(not email_only or in_workspace for email_only, in_workspace in open_dialogs):
            return False
        closed = Dialog.objects.filter(visitor=visitor, state__in=REOPENABLE_STATES, closes_at__gt=database_now())
        if any(dialog.is_reopenable for dialog in closed):
            return False
        place = (department.pk if department else None, language.pk)
        return not open_dialogs or place in service_states([self.account.pk], database_now())[self.account.pk]


class ContactsView(VisitorView):
    """Contacts that were asked for in the chat (W3)."""

    accepts = accepts.LeaveContactsSerializer

    def answer(self, request: Request, given: dict[str, Any]) -> Response:
        visitor = self.find_visitor(given["token"])
        enforce("visitor_write", str(visitor.pk))
        if visitor._state.adding:
            raise NotFound(_("You have no inquiry yet: write a message first."))
        leave_contacts(visitor.pk, given["contacts"])
        visitor.refresh_from_db(fields=["name", "email", "phone", "own_fields"])
        return Response({"conversation": self.conversation(visitor, number=given["number"], after=given["after"])})


class EndView(VisitorView):
    """The visitor ends the chat (W4): 404 for a number that is not theirs, 409 for one that is closed."""

    accepts = accepts.EndSerializer

    def answer(self, request: Request, given: dict[str, Any]) -> Response:
        visitor = self.find_visitor(given["token"])
        enforce("visitor_write", str(visitor.pk))
        try:
            close_by_visitor(visitor.pk, given["number"])
        except Dialog.DoesNotExist:
            raise NotFound(_("You have no inquiry with this number.")) from None
        except DialogClosed:
            raise Conflict(_("This chat is closed already.")) from None
        return Response({"conversation": self.conversation(visitor)})
