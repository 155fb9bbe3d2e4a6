"""Columns and form fields for what people type about accounts and themselves; it is cleaned before anything is checked (C1, C2)."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.db import models

from webim_offline.foundation import text

if TYPE_CHECKING:  # only the stubs of Django's fields take type arguments
    CharField = models.CharField[str, str]
else:
    CharField = models.CharField


class LineInput(forms.CharField):
    """The form field of a name, a title or a label."""

    def to_python(self, value: Any) -> Any:
        return super().to_python(text.cleaned_line(value) if isinstance(value, str) else value)


class LineField(CharField):
    """A column for a name, a title or a label; for migrations Django's own."""

    def to_python(self, value: Any) -> Any:
        return text.cleaned_line(value) if isinstance(value, str) else super().to_python(value)

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{"form_class": LineInput, **kwargs})

    def deconstruct(self) -> tuple[str, str, list[Any], dict[str, Any]]:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", list(args), kwargs


class SentencesInput(forms.CharField):
    """The form field of a text that is shown as it was written."""

    def to_python(self, value: Any) -> Any:
        return super().to_python(text.message(value) if isinstance(value, str) else value)


class SentencesField(LineField):
    """A column for a text that is shown as it was written; for migrations Django's own."""

    def to_python(self, value: Any) -> Any:
        return text.message(value) if isinstance(value, str) else super().to_python(value)

    def formfield(self, **kwargs: Any) -> Any:
        return super().formfield(**{"form_class": SentencesInput, **kwargs})
