"""The rule of e-mail addresses (`webim_offline.foundation.email_addresses`) as models, forms and serializers use it."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator
from django.db import models
from django.utils.deconstruct import deconstructible
from django.utils.functional import Promise

from operators.text_fields import LineField
from operators.validators import addresses, check_can_be_sent_to
from webim_offline.foundation.email_addresses import cleaned_address, is_address


@deconstructible
class AddressValidator:
    """Refuses what is no address; `message` says so."""

    code = "invalid"

    def __init__(self, message: str | Promise | None = None) -> None:
        self.message: Any = message or EmailValidator.message

    def __call__(self, value: str) -> None:
        if not is_address(value):
            raise ValidationError(self.message, code=self.code, params={"value": value})
        check_can_be_sent_to(value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AddressValidator) and other.message == self.message

    def __hash__(self) -> int:
        return hash(str(self.message))


if TYPE_CHECKING:  # only the stubs of Django's fields take type arguments
    EmailField = models.EmailField[str, str]
else:
    EmailField = models.EmailField


class AddressInput(forms.CharField):
    """The form field of one address."""

    widget = forms.EmailInput

    def to_python(self, value: Any) -> Any:
        return cleaned_address(value) if isinstance(value, str) else super().to_python(value)


class AddressField(EmailField):
    """A column for one address; for migrations Django's own."""

    default_validators = [AddressValidator()]

    def to_python(self, value: Any) -> Any:
        return cleaned_address(value) if isinstance(value, str) else super().to_python(value)

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{**kwargs, "form_class": AddressInput})

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.EmailField", list(args), kwargs


class AddressListInput(forms.CharField):
    """The form field of a list of addresses. It has lines, because a browser takes line breaks out of a field that has none."""

    def to_python(self, value: Any) -> Any:
        return listed(value) if isinstance(value, str) else super().to_python(value)


class AddressListField(LineField):
    """A column for a list of addresses, which is stored as addresses with commas between them; for migrations Django's own."""

    def to_python(self, value: Any) -> Any:
        return listed(value) if isinstance(value, str) else super().to_python(value)

    def formfield(self, **kwargs: Any) -> Any:
        widget = forms.Textarea(attrs={"rows": 2, "cols": 60})
        return super().formfield(**{**kwargs, "form_class": AddressListInput, "widget": widget})


def listed(text: str) -> str:
    """Return a list of addresses as it is stored. A text that has none is left for the validator to refuse."""
    return ", ".join(addresses(text)) or text.strip()
