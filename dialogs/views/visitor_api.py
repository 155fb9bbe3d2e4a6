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
from rest_framework.exceptions import NotFound, PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from dialogs.actions import visitors
from dialogs.actions.conversation import (
    Submission,
    Written,
    close_by_visitor,
    contacts_of,
    leave_contacts,
    missing_contacts,
    visitor_writes,
)
from dialogs.actions.errors import ContactsMissing, DialogClosed
from dialogs.contact_form import ContactForm, contact_form
from dialogs.live import tickets
from dialogs.models import LONGEST_TEXT, OPEN_STATES, Dialog, Message, MessageKind, StartState, State, Visitor
from dialogs.reading.service import Service, find_service
from dialogs.reading.visitor_dialogs import as_of, asked_by_token, dialogs_of
from dialogs.rules.destination import destination_of
from dialogs.views import visitor_input as accepts
from dialogs.views.throttles import enforce
from dialogs.views.visitor_errors import AccountNotReady, Conflict, UnknownAccount, UnknownToken, error_response
from dialogs.views.widget_texts import button_texts, spoken_language, texts, way_of_answer
from operators.known_accounts import known_account
from operators.models import Account, Language
from webim_offline.foundation.database.clock import moment_of
from webim_offline.foundation.database.statements import Rows, run_together
from webim_offline.foundation.http.client_address import client_network

MOST_MESSAGES = 200  # of one answer (X3); a client asks again for the rest


class VisitorView(APIView, ABC):
    """One verb of the visitor API; subclasses say what they accept and what they answer."""

    http_method_names = ["post"]
    parser_classes = [accepts.TextParser, accepts.BoundedJSONParser]
    accepts: type[Serializer]

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {
            **super().default_response_headers,
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Expose-Headers": "Retry-After",
            "Cache-Control": "no-store",
        }

    def get_exception_handler(self) -> Any:
        return error_response

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
        known = known_account(serializer.validated_data["account"])
        if known is None:
            raise UnknownAccount
        self.form = contact_form(known.account, known.contact_fields)
        return known.account

    def check_site(self, request: Request) -> None:
        """X5: an account that lists its sites is served there alone."""
        listed = self.account.origins
        if listed and request.headers.get("Origin") not in listed:
            raise PermissionDenied(_("This chat is not for this site."), code="foreign site")

    form: ContactForm

    def find_visitor(self, token: str) -> Visitor:
        return self.known(visitors.recognise(self.account, token))

    def known(self, visitor: Visitor | None) -> Visitor:
        """The visitor whose token was recognised; whose was not is refused, and only a few times a minute so quickly."""
        if visitor is None:
            enforce(("unknown_token", client_network(self.request)))
            raise UnknownToken
        return visitor

    def find_service(self, given: Mapping[str, Any]) -> Service:
        """The department and language that exist for what was asked, and who could answer there (A5, S1)."""
        try:
            return find_service(self.account, given["department"], _asked_languages(given))
        except Language.DoesNotExist:
            raise AccountNotReady from None

    def ticket(self, visitor: Visitor, visit: str, service: Service) -> str:
        """X5: for the live app only; useless for reading or writing."""
        department_id, language_id = service.route
        claims = {"a": self.account.pk, "v": visitor.pk, "k": visit, "d": department_id, "l": language_id}
        if visitor._state.adding:
            claims["n"] = visitor.token_digest
        return tickets.issue(tickets.VISIT, claims)

    def missing(self, visitor: Visitor) -> list[str]:
        """Names of the contacts a left message of this visitor would lack."""
        return self.form.names_of(missing_contacts(self.account, contacts_of(visitor), self.form.required_own))

    def conversation(self, visitor: Visitor, *, number: int = 0, after: int = 0) -> dict[str, Any] | None:
        """What the visitor may see of the newest open dialog, else of the last one (W4, P11); None before the first."""
        if visitor._state.adding:
            return None
        theirs = Dialog.objects.filter(visitor=visitor).select_related("operator").order_by("-pk")
        dialog = theirs.filter(state__in=OPEN_STATES).first() or theirs.first()
        return None if dialog is None else self.said_in(dialog, visitor, number=number, after=after)

    def said_in(self, dialog: Dialog, visitor: Visitor, *, number: int = 0, after: int = 0) -> dict[str, Any]:
        """What the visitor may see of this dialog of theirs, of which the client knows revision `after` if it shows `number`."""
        is_behind = dialog.number == number and after > dialog.revision  # the client's page is older than a restored backup
        if dialog.number != number or is_behind:
            after = 0
        messages = dialog.messages.filter(kind__in=[MessageKind.VISITOR, MessageKind.OPERATOR], revision__gt=after)
        messages = messages.select_related("author")
        # a client that knows nothing gets the newest ones, one that knows some the next ones
        newest = list(messages.order_by("revision" if after else "-revision")[: MOST_MESSAGES + 1])
        more, newest = len(newest) > MOST_MESSAGES, newest[:MOST_MESSAGES]
        shown = sorted(newest, key=lambda message: message.revision)
        return self.shown(dialog, visitor, shown, more=more, after=after, is_behind=is_behind)

    def shown(
        self, dialog: Dialog, visitor: Visitor, shown: list[Message], *, more: bool = False, after: int = 0, is_behind: bool = False
    ) -> dict[str, Any]:
        """The conversation as the answer tells it: these messages, and whether there are `more` of them."""
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

    A page whose window is closed asks for a `brief` answer, with the words of the button alone.

    Nothing is stored of somebody new: their token is signed, and what it stands for is stored with their first message.
    """

    accepts = accepts.SessionSerializer

    def answer(self, request: Request, given: dict[str, Any]) -> Response:
        enforce(("visitor_session", client_network(request)))
        service = self.find_service(given)
        language = service.language
        new_token = ""
        if given["token"]:
            visitor = self.find_visitor(given["token"])
        else:
            new_token, visitor = visitors.newcomer(self.account)
        answer: dict[str, Any] = {
            "ticket": self.ticket(visitor, given["visit"], service),
            "service": "online" if service.is_online else "offline",
            "language": language.code,
            "offline_mode": self.account.widget_offline_mode,
        }
        spoken = spoken_language(language.code, _asked_languages(given))
        with translation.override(spoken):
            answer["spoken"] = spoken
            answer |= self.brief(visitor, given) if given["brief"] else self.whole(visitor, language)
        if new_token:
            answer["token"] = new_token
        return Response(answer)

    def brief(self, visitor: Visitor, given: dict[str, Any]) -> dict[str, Any]:
        """What the button needs: its words, and what of the conversation the visitor has not seen."""
        conversation = self.conversation(visitor, number=given["number"], after=given["after"])
        return {"texts": button_texts(), "conversation": conversation}

    def whole(self, visitor: Visitor, language: Language) -> dict[str, Any]:
        """What the window needs."""
        return {
            "account": self.account.name,
            "known": {"name": visitor.name, "email": visitor.email, "phone": visitor.phone}
            | {name: visitor.own_fields.get(label, "") for name, label in self.form.own.items()},
            "form": {
                "fields": [{"name": f.name, "label": f.label, "required": f.required} for f in self.form.fields],
                "either": self.form.either,
            },
            "longest": LONGEST_TEXT,
            "privacy_url": self.account.privacy_url,
            "offline_text": language.offline_text,
            "texts": texts(mail_only=not self.account.left_messages_in_workspace),
            "conversation": self.conversation(visitor),
        }


class TicketView(VisitorView):
    """A fresh ticket for a page whose own one the live app no longer takes (X5)."""

    accepts = accepts.TicketSerializer

    def answer(self, request: Request, given: dict[str, Any]) -> Response:
        enforce(("visitor_session", client_network(request)))
        visitor = self.find_visitor(given["token"])
        return Response({"ticket": self.ticket(visitor, given["visit"], self.find_service(given))})


class ConversationView(VisitorView):
    """The conversation after a revision: what a hint makes the widget read."""

    accepts = accepts.ConversationSerializer

    def answer(self, request: Request, given: dict[str, Any]) -> Response:
        visitor = self.find_visitor(given["token"])
        enforce(("visitor_read", str(visitor.pk)), ("visitor_read_address", client_network(request)))
        return Response({"conversation": self.conversation(visitor, number=given["number"], after=given["after"])})


class MessagesView(VisitorView):
    """The visitor writes (W3, W4, B1): 201 for a message kept now, 200 for one kept before."""

    accepts = accepts.MessageSerializer

    def answer(self, request: Request, given: dict[str, Any]) -> Response:
        of_visitor, of_dialogs = run_together(*asked_by_token(self.account, given["token"]))
        visitor = self.known(visitors.recognised(self.account, given["token"], of_visitor))
        limits = [("visitor_write", str(visitor.pk))]
        if is_start := self.is_start(of_dialogs, given):
            limits += [("dialog_start_visitor", str(visitor.pk)), ("dialog_start_address", client_network(request))]
        enforce(*limits)
        submission = Submission(
            text=given["text"],
            key=given["key"],
            department=given["department"],
            language=given["language"],
            languages=tuple(given["languages"]),
            contacts=given["contacts"],
            from_form=given["from_form"],
            required_own=self.form.required_own,
            visit_key=given["visit"],
            page_url=given["page"]["url"],
            page_title=given["page"]["title"],
        )
        try:
            newcomer = visitor if visitor._state.adding else None
            written = visitor_writes(self.account.pk, visitor.pk, submission, newcomer=newcomer, likely_starts=is_start)
        except Account.DoesNotExist:
            raise UnknownAccount from None  # archived a moment ago
        except Language.DoesNotExist:
            raise AccountNotReady from None
        except Visitor.DoesNotExist:
            raise UnknownToken from None  # forgotten meanwhile: the widget asks who it is and sends again
        except ContactsMissing as refusal:
            names = self.form.names_of(refusal.fields)
            raise ValidationError({name: [_("Fill in this field.")] for name in names}) from None
        created = status.HTTP_200_OK if written.repeated else status.HTTP_201_CREATED
        return Response(
            {"number": written.dialog.number, "conversation": self.conversation_after(written, submission, given)}, created
        )

    def is_start(self, rows: Rows, given: Mapping[str, Any]) -> bool:
        """Whether a message would start a dialog now: `visitor_writes` decides by the same rule, under the visitor's lock."""
        if not rows:
            return True
        now = moment_of(rows[0][-1])
        standing = [as_of(dialog, now, self.account.reopen_window) for dialog in dialogs_of(rows)]
        return destination_of(standing, is_service_online=lambda: self.find_service(given).is_online).is_start

    def conversation_after(self, written: Written, submission: Submission, given: Mapping[str, Any]) -> dict[str, Any] | None:
        """The conversation with the message just written; nothing is read again that is known from writing it."""
        known = {"number": given["number"], "after": given["after"]}
        if written.visitor is None or not written.is_newest:
            return self.conversation(self.find_visitor(given["token"]), **known)
        if not written.is_new:
            return self.said_in(written.dialog, written.visitor, **known)
        message = Message(
            kind=MessageKind.VISITOR,
            revision=written.revision,
            text=submission.text,
            at=written.dialog.created_at,
            client_key=submission.key,
        )
        return self.shown(written.dialog, written.visitor, [message])


class ContactsView(VisitorView):
    """Contacts that were asked for in the chat (W3)."""

    accepts = accepts.LeaveContactsSerializer

    def answer(self, request: Request, given: dict[str, Any]) -> Response:
        visitor = self.find_visitor(given["token"])
        enforce(("visitor_write", str(visitor.pk)))
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
        enforce(("visitor_write", str(visitor.pk)))
        try:
            close_by_visitor(visitor.pk, given["number"])
        except Dialog.DoesNotExist:
            raise NotFound(_("You have no inquiry with this number.")) from None
        except DialogClosed:
            raise Conflict(_("This chat is closed already.")) from None
        return Response({"conversation": self.conversation(visitor)})
