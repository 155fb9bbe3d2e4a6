"""What the visitor API accepts (X3): bounded JSON bodies, and the serializers that say what is wrong in a person's words."""

import json
import re
import threading
from functools import cached_property
from typing import Any, ClassVar

from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.exceptions import APIException, ParseError, UnsupportedMediaType
from rest_framework.parsers import BaseParser
from rest_framework.utils.serializer_helpers import BindingDict

from dialogs.actions.visitors import LONGEST_TOKEN, Contacts
from dialogs.contact_form import OWN, ContactForm
from dialogs.models import LONGEST_KEY, LONGEST_TEXT, LONGEST_TITLE, LONGEST_URL
from operators.email_fields import AddressValidator
from webim_offline.foundation import text
from webim_offline.foundation.email_addresses import cleaned_address
from webim_offline.foundation.numbers import whole_number
from webim_offline.foundation.phones import is_phone

LARGEST_BODY = 128 * 1024  # the longest text, every character escaped, and the contacts
LONGEST_NAME = 120
LONGEST_EMAIL = 254
LONGEST_PHONE = 40
LONGEST_OWN = 300
MOST_LANGUAGES = 20
CLIENT_KEY = RegexValidator(rf"\A[A-Za-z0-9_-]{{8,{LONGEST_KEY}}}\Z")


class TooLarge(APIException):
    status_code = 413
    default_code = "too large"
    default_detail = _("The request is too large.")


class Compressed(UnsupportedMediaType):
    """A small body may hold a large text: what comes compressed is not opened."""

    def __init__(self) -> None:
        super().__init__("", detail=_("Send the request uncompressed: its Content-Encoding is not understood."))


class BoundedJSONParser(BaseParser):
    """JSON of at most 128 KiB, uncompressed; a deeper nesting than Python reads is not understood either."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: dict[str, Any] | None = None) -> Any:
        if parser_context and parser_context["request"].headers.get("Content-Encoding", "identity") != "identity":
            raise Compressed
        body = stream.read(LARGEST_BODY + 1)
        if len(body) > LARGEST_BODY:
            raise TooLarge
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise ParseError(_("The request is not JSON.")) from None


class TextParser(BoundedJSONParser):
    """The same sent as text/plain: a widget on another origin then needs no preflight request."""

    media_type = "text/plain"


class _Made(threading.local):
    """What was made in this thread."""

    def __init__(self) -> None:
        self.fields: dict[type, BindingDict] = {}


_made = _Made()


class InputSerializer(serializers.Serializer):
    """A serializer whose fields are made once in a thread; making them takes longer than checking a request.

    Nothing of a request stays in them but its serializer, which the next one replaces. A thread checks one request at a time.
    """

    @cached_property
    def fields(self) -> BindingDict:
        kept = _made.fields.get(type(self))
        if kept is None:
            kept = _made.fields[type(self)] = super().fields
        kept.serializer = self
        for field in kept.values():
            field.parent = self
        return kept


class Line(serializers.CharField):
    """One line, such as a name, as it is stored (C1, M4). One of which nothing would be seen is empty."""

    default_error_messages: ClassVar = {"max_length": _("At most {max_length} characters.")}

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return super().run_validation(text.cleaned_line(data) if isinstance(data, str) else data)


class Said(serializers.CharField):
    """A message, as it is stored (C1, C2). One of which nothing would be seen is blank."""

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, **options)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return super().run_validation(text.message(data) if isinstance(data, str) else data)


class Told(serializers.Field):
    """What a page says about itself: cut and cleaned, never a reason to refuse a message."""

    def __init__(self, longest: int, **options: Any) -> None:
        self.longest = longest
        super().__init__(required=False, default="", **options)

    def run_validation(self, data: Any = serializers.empty) -> str:
        if not isinstance(data, str):
            return ""
        return self.to_internal_value(data)

    def to_internal_value(self, data: str) -> str:
        return text.fitting_line(data, self.longest)

    def to_representation(self, value: str) -> str:
        return value


class PageSerializer(InputSerializer):
    url = Told(LONGEST_URL)
    title = Told(LONGEST_TITLE)

    def validate_url(self, url: str) -> str:
        # operators get it as a link
        return url if url.startswith(("http://", "https://")) else ""


class AccountSerializer(InputSerializer):
    """Every request names the account."""

    account = serializers.CharField(max_length=63)


class CallerSerializer(AccountSerializer):
    """And all but the first one the visitor's token (X2)."""

    token = serializers.CharField(max_length=LONGEST_TOKEN)


class PlaceSerializer(InputSerializer):
    """The visit and the service it asks for; an unknown department or language is no error (A5)."""

    visit = serializers.CharField(validators=[CLIENT_KEY])
    department = Line(required=False, allow_blank=True, default="", max_length=200)
    language = Line(required=False, allow_blank=True, default="", max_length=35)
    languages = serializers.ListField(
        child=Line(max_length=35, allow_blank=True), required=False, default=list, max_length=MOST_LANGUAGES
    )
    page = PageSerializer(required=False, default=lambda: {"url": "", "title": ""})


class WholeNumber(serializers.IntegerField):
    """A number as JSON writes it, or its digits."""

    def to_internal_value(self, data: Any) -> int:
        number = data if type(data) is int else whole_number(data)
        if number is None:
            self.fail("invalid")
            raise AssertionError("fail() raises")
        return number


class SinceSerializer(InputSerializer):
    """How much of the conversation the client knows: a dialog's number and its revision."""

    number = WholeNumber(required=False, default=0, min_value=0, max_value=2**62)
    after = WholeNumber(required=False, default=0, min_value=0, max_value=2**62)


class SessionSerializer(SinceSerializer, PlaceSerializer, AccountSerializer):
    """`brief` asks for what the widget's button needs alone; `number` and `after` then say what of the conversation was seen."""

    brief = serializers.BooleanField(required=False, default=False)
    token = serializers.CharField(required=False, allow_blank=True, default="", max_length=LONGEST_TOKEN)


class TicketSerializer(PlaceSerializer, CallerSerializer):
    pass


class ConversationSerializer(SinceSerializer, CallerSerializer):
    pass


class EndSerializer(CallerSerializer):
    number = WholeNumber(min_value=1, max_value=2**62)


class ContactsField(serializers.Field):
    """Contacts by field name. One the account did not ask for is refused; an empty one was not told."""

    default_error_messages: ClassVar = {"not_asked": _("This site does not ask for this.")}

    def to_internal_value(self, data: Any) -> Contacts:
        form: ContactForm = self.context["form"]
        if not isinstance(data, dict):
            raise serializers.ValidationError(_("Write contacts by their field names."))
        told: dict[str, str] = {}
        wrong: dict[str, list[str]] = {}
        for name, value in data.items():
            if value in ("", None):
                continue
            if not form.asks(name):
                # the name is not repeated when nobody can have meant it
                wrong[name if name in CONTACTS or re.fullmatch(OWN + r"\d{1,18}", name) else "contacts"] = [
                    str(self.error_messages["not_asked"])
                ]
                continue
            try:
                told[name] = CONTACTS.get(name, OWN_ANSWER).run_validation(value)
            except serializers.ValidationError as error:
                wrong[name] = [str(detail) for detail in error.detail]
        if wrong:
            raise serializers.ValidationError(wrong)
        own = {label: told[name] for name, label in form.own.items() if told.get(name)}
        return Contacts(name=told.get("name", ""), email=told.get("email", ""), phone=told.get("phone", ""), own=own)

    def to_representation(self, value: Contacts) -> dict[str, str]:
        return {"name": value.name, "email": value.email, "phone": value.phone}


class Phone(Line):
    default_error_messages: ClassVar = {
        "invalid_phone": _("Check the number: digits, with the country code, such as +1 555 010 0199.")
    }

    def to_internal_value(self, data: Any) -> str:
        phone = str(super().to_internal_value(data))
        if phone and not is_phone(phone):
            self.fail("invalid_phone")
        return phone


class Address(Line):
    """An email address, without what nobody sees in it."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        return super().run_validation(cleaned_address(data) if isinstance(data, str) else data)


CONTACTS: dict[str, serializers.Field] = {
    "name": Line(max_length=LONGEST_NAME, allow_blank=True),
    "email": Address(
        max_length=LONGEST_EMAIL,
        allow_blank=True,
        validators=[AddressValidator(_("Check the address: it looks like name@example.com."))],
    ),
    "phone": Phone(max_length=LONGEST_PHONE, allow_blank=True),
}
OWN_ANSWER = Line(max_length=LONGEST_OWN, allow_blank=True)


class MessageSerializer(SinceSerializer, PlaceSerializer, CallerSerializer):
    """One submission (B1): `key` is the client's own and makes it happen once."""

    key = serializers.CharField(validators=[CLIENT_KEY])
    text = Said(
        max_length=LONGEST_TEXT,
        error_messages={
            "blank": _("Write a message."),
            "required": _("Write a message."),
            "max_length": _("At most {max_length} characters: divide the message in two."),
        },
    )
    contacts = ContactsField(required=False, default=Contacts)
    from_form = serializers.BooleanField(required=False, default=False)


class LeaveContactsSerializer(SinceSerializer, CallerSerializer):
    contacts = ContactsField()

    def validate_contacts(self, contacts: Contacts) -> Contacts:
        if not contacts:
            raise serializers.ValidationError(_("Fill in at least one field."))
        return contacts
