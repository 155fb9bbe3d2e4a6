"""The rule of e-mail addresses (`webim_offline.foundation.email_addresses`) as models, forms and serializers use it."""

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.core.validators import EmailValidator
from django.db import models
from django.utils.deconstruct import deconstructible
from django.utils.functional import Promise

from webim_offline.foundation.email_addresses import is_address


@deconstructible
class AddressValidator:
    """Refuses what is no address; `message` says so."""

    code = "invalid"

    def __init__(self, message: str | Promise | None = None) -> None:
        self.message: Any = message or EmailValidator.message

    def __call__(self, value: str) -> None:
        if not is_address(value):
            raise ValidationError(self.message, code=self.code, params={"value": value})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AddressValidator) and other.message == self.message

    def __hash__(self) -> int:
        return hash(str(self.message))


if TYPE_CHECKING:  # only the stubs of Django's fields take type arguments
    EmailField = models.EmailField[str, str]
else:
    EmailField = models.EmailField


class AddressField(EmailField):
    """A column for one address; for migrations Django's own."""

    default_validators = [AddressValidator()]

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.EmailField", list(args), kwargs
