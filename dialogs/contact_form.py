"""Which contacts the offline form asks for (W3), and what M10 adds while left messages only go by mail."""

from collections.abc import Sequence
from dataclasses import dataclass

from operators.models import Account, ContactField, Requirement

OWN = "own_"  # the account's own fields are named own_<id>
BUILT_IN = ("name", "email", "phone")


@dataclass(frozen=True, slots=True)
class Field:
    """One contact the form asks for; `label` is set for the account's own fields only."""

    name: str
    required: bool
    label: str = ""


@dataclass(frozen=True, slots=True)
class ContactForm:
    """The fields in their order. `either`: an e-mail or a phone is needed, whichever the visitor prefers (M10)."""

    fields: tuple[Field, ...]
    either: bool

    @property
    def own(self) -> dict[str, str]:
        """Labels of the account's own fields by their names."""
        return {field.name: field.label for field in self.fields if field.label}

    @property
    def required_own(self) -> tuple[str, ...]:
        """Labels of the own fields that must be filled in."""
        return tuple(field.label for field in self.fields if field.label and field.required)

    def asks(self, name: str) -> bool:
        return any(field.name == name for field in self.fields)

    def names_of(self, missing: list[str]) -> list[str]:
        """Field names for what `conversation.missing_contacts` misses: it knows own fields by their labels."""
        by_label = {label: name for name, label in self.own.items()}
        return [by_label.get(word, word) for word in missing]


def contact_form(account: Account, own_fields: Sequence[ContactField]) -> ContactForm:
    """The form of this account as its settings are now."""
    asked = {name: Requirement(getattr(account, f"contact_{name}")) for name in BUILT_IN}
    either = False
    if not account.left_messages_in_workspace:
        if asked["email"] == Requirement.OFF:
            asked["email"] = Requirement.OPTIONAL
        if Requirement.REQUIRED not in {asked["email"], asked["phone"]}:
            either = asked["phone"] != Requirement.OFF
            if not either:
                asked["email"] = Requirement.REQUIRED
    fields = [Field(name, how == Requirement.REQUIRED) for name, how in asked.items() if how != Requirement.OFF]
    fields += [
        Field(f"{OWN}{row.pk}", row.requirement == Requirement.REQUIRED, row.label)
        for row in own_fields
        if row.requirement != Requirement.OFF
    ]
    return ContactForm(tuple(fields), either)
