"""The forms of the login and of the admin: what may be typed, and what is said where it may not."""

import re
from typing import Any

from django import forms
from django.contrib.auth import password_validation
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from operators.actions.parts import check_room_for
from operators.actions.people import set_password
from operators.actions.settings import LIMITS, check_left_messages, check_timeouts
from operators.authentication.confirmation import ConfirmedForm
from operators.authentication.passwords import TooManyAttempts, check_own_password
from operators.demo import is_shut_out
from operators.logins import login_key
from operators.models import LANGUAGE_CODE, Account, Operator, Role
from operators.validators import origins, validate_sites


class LoginForm(AuthenticationForm):
    """Login and password, drawn with our own components."""

    refusal = ""  # the sentence that says why nobody was signed in

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["class"] = "input"
            if self.is_bound:
                field.widget.attrs |= {"aria-describedby": "error"}
        self.fields["username"].widget.attrs |= {"spellcheck": "false"}

    def add_error(self, field: str | None, error: Any) -> None:
        super().add_error(field, error)
        self.refusal = self.refusal or gettext("That login and password do not match. Check the keyboard layout and Caps Lock.")
        for wrong in self.fields.values():
            wrong.widget.attrs["aria-invalid"] = "true"

    def clean(self) -> dict[str, Any]:
        if is_shut_out(self.cleaned_data.get("username") or "", self.cleaned_data.get("password") or ""):
            self.refusal = gettext("Demo passwords open nothing here: everybody knows them. Ask your supervisor for a password.")
            raise ValidationError(self.refusal, code="demo")
        return super().clean()


class OwnPasswordForm(PasswordChangeForm):
    """One's own password: the one so far, asked for within limits, and a new one twice."""

    error_messages = {**PasswordChangeForm.error_messages, "password_mismatch": _("The two passwords differ.")}
    wait = 0  # seconds, where too many wrong ones were given

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        self.request = request
        super().__init__(*args, **kwargs)
        self.fields["old_password"].label = _("Current password")
        self.fields["new_password1"].label = _("New password")
        self.fields["new_password2"].label = _("The same password again")
        self.fields["new_password1"].help_text = password_validation.password_validators_help_texts()[0]
        self.fields["new_password2"].help_text = ""
        for field in self.fields.values():
            field.widget.attrs |= {"class": "input"}
        self.fields["old_password"].widget.attrs |= {"autofocus": True}

    def clean_old_password(self) -> str:
        password: str = self.cleaned_data["old_password"]
        try:
            check_own_password(self.request, self.user, password)
        except TooManyAttempts as refusal:
            self.wait = refusal.wait
            raise
        return password

    def clean(self) -> dict[str, Any]:
        super().clean()
        new = self.cleaned_data.get("new_password1")
        if new and new == self.cleaned_data.get("old_password"):
            self.add_error("new_password1", gettext("This is your current password. Choose another one."))
        return self.cleaned_data

    def validate_password_for_user(self, user: Operator, password_field_name: str = "") -> None:
        super().validate_password_for_user(user, "new_password1")  # what is wrong is said where it is typed first

    @property
    def reason(self) -> str:
        """Why the password was not changed, in a word or two for the log."""
        if self.has_error("old_password"):
            return "wrong password"
        return "passwords differ" if set(self.errors) == {"new_password2"} else "weak password"

    def save(self, commit: bool = True) -> Operator:
        set_password(self.user, self.cleaned_data["new_password1"])
        return self.user


class ScopedForm(ConfirmedForm):
    """A form about one account's row. `own_account` is the supervisor's (X1); support staff have none."""

    own_account: Account | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.own_account is not None and self.instance._state.adding and self._has_account:
            self.instance.account = self.own_account

    @property
    def _has_account(self) -> bool:
        return any(field.name == "account" for field in self._meta.model._meta.fields)

    def _get_validation_exclusions(self) -> set[str]:
        # the account is no field for a supervisor and none of an existing row, yet short names are unique within it
        exclude: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]  # not in the stubs
        if "account" not in self.fields:
            exclude.discard("account")
        return exclude


class AccountForm(ConfirmedForm):
    """An account's settings, with the rules that span several of them (M7, P5). Changing where left messages go is confirmed."""

    confirmed_fields = frozenset({"left_messages_email", "left_messages_in_workspace"})

    language_codes = forms.CharField(
        label=_("Languages"),
        max_length=200,
        help_text=_("Codes, comma-separated, such as ru, en. The first one is used when a visitor's language is unknown."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.fields.pop("language_codes", None)
        for name, help_text in CONSEQUENCES.items():
            if name in self.fields:
                self.fields[name].help_text = help_text

    def clean_language_codes(self) -> list[str]:
        codes = list(dict.fromkeys(re.findall(r"[^\s,]+", self.cleaned_data["language_codes"])))
        for code in codes:
            LANGUAGE_CODE(code)
        if not codes:
            raise ValidationError(_("An account answers in at least one language."))
        return codes

    def clean_sites(self) -> str:
        validate_sites(self.cleaned_data["sites"])
        return ", ".join(origins(self.cleaned_data["sites"]))

    def _now(self, name: str) -> Any:
        """The value as it would be saved; None where it could not be read."""
        return self.cleaned_data.get(name) if name in self.fields else getattr(self.instance, name)

    def clean(self) -> dict[str, Any]:
        super().clean()
        self._check_left_messages()
        notice, offline = self._now("left_notice_after"), self._now("offline_after")
        if notice is not None and offline is not None and "offline_after" in self.fields:
            try:
                check_timeouts(left_notice_after=notice, offline_after=offline)
            except ValidationError as refusal:
                self.add_error(None, refusal)
        return self.cleaned_data

    def _check_left_messages(self) -> None:
        in_workspace, email = self._now("left_messages_in_workspace"), self._now("left_messages_email")
        asked = {"left_messages_in_workspace", "left_messages_email"} & set(self.changed_data)
        if in_workspace is None or email is None or not asked:
            return
        try:
            check_left_messages(in_workspace=in_workspace, email=email)
        except ValidationError as refusal:
            for name, errors in refusal.error_dict.items():
                self.add_error(name if name in self.fields else "left_messages_email", errors)


CONSEQUENCES = {
    "slug": _("Part of the address of the widget's script: changing it takes the widget off the customer's pages."),
    "left_messages_in_workspace": _(
        "Off: they are only mailed, which needs an address above and a mail server; the offline form then requires an"
        " email or a phone. Dialogs that started online, and left messages that are there already, stay where they are."
    ),
    "time_zone": _("Times in letters and statistics are shown in it."),
    "visible_online_dialogs": _("The oldest ones, for an operator; the others are counted below the list. At most 500."),
    "visible_offline_dialogs": _("The oldest ones, for an operator; the others are counted below the list. At most 500."),
    "assignment": _("Automatic: a waiting dialog goes to somebody online below the limit; taking by hand stays possible."),
    "widget_offline_mode": _("Nothing: visitors see no button and leave no messages while nobody is online."),
    "contact_email": _("Asked in the offline form. Without an email or a phone nobody can answer a visitor who has gone."),
}


class PartForm(ScopedForm):
    """A department, language or own contact field. A department's own address for left messages asks for the own password."""

    confirmed_fields = frozenset({"left_messages_email"})

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.instance._state.adding:
            account = cleaned.get("account") if "account" in self.fields else self.own_account
            if account is not None:
                check_room_for(account.pk, self._meta.model)
        return cleaned


class OperatorForm(ScopedForm):
    """A person: who they are, where they answer, whether they may sign in, and a new password.

    The own password has a page of its own, which asks for the old one: here are only those of others.
    """

    actor: Operator
    confirmed_fields = frozenset({"password1", "password2", "email", "role", "is_active"})

    password1 = forms.CharField(
        label=_("Password"), required=False, strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "new-password"})
    )
    password2 = forms.CharField(
        label=_("The same password again"),
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    class Meta:
        model = Operator
        fields = [
            "username",
            "name",
            "email",
            "role",
            "account",
            "departments",
            "languages",
            "ui_language",
            "is_active",
            "status",
            *LIMITS,
        ]
        widgets = {"departments": forms.CheckboxSelectMultiple, "languages": forms.CheckboxSelectMultiple}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        adding = self.instance._state.adding
        account_id = self.own_account.pk if self.own_account else self.instance.account_id
        for name in ("departments", "languages"):
            if name in self.fields:
                field: Any = self.fields[name]
                kept = [] if adding else getattr(self.instance, name).values_list("pk", flat=True)
                rows = field.queryset.filter(account=account_id)
                field.queryset = rows.filter(archived_at=None) | rows.filter(pk__in=list(kept))
        if "role" in self.fields:
            role: Any = self.fields["role"]
            role.choices = self._roles()
        if self._is_of_oneself:
            del self.fields["password1"], self.fields["password2"]
        else:
            self.fields["password1"].required = self.fields["password2"].required = adding
            self.fields["password1"].help_text = (
                password_validation.password_validators_help_text_html()
                if adding
                else gettext("Empty: the password stays. A new one signs this person out everywhere.")
            )

    @property
    def _is_of_oneself(self) -> bool:
        return not self.instance._state.adding and self.instance.pk == self.actor.pk

    def needs_password(self) -> bool:
        return self.instance._state.adding or super().needs_password()

    def full_clean(self) -> None:
        super().full_clean()
        if self.asks_password and "password1" in self.fields:
            # shown once more only to ask for the own password: the new one need not be thought up again
            self.fields["password1"].widget.render_value = self.fields["password2"].widget.render_value = True

    def _roles(self) -> list[tuple[str, Any]]:
        """X1: supervisors give no rights above their own; nobody moves between an account and the support staff."""
        of_accounts: list[tuple[str, Any]] = [(role.value, role.label) for role in (Role.OPERATOR, Role.SUPERVISOR)]
        support: list[tuple[str, Any]] = [(Role.SUPPORT.value, Role.SUPPORT.label)]
        if self.own_account is not None:
            return of_accounts
        if self.instance._state.adding:
            return of_accounts + support
        return support if self.instance.account_id is None else of_accounts

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        self._check_login(cleaned)
        self._check_account(cleaned)
        self._check_oneself(cleaned)
        self._check_password(cleaned)
        return cleaned

    def _check_login(self, cleaned: dict[str, Any]) -> None:
        """No new login may differ from another one by case alone (C6). Those that do may stay as they are."""
        login = cleaned.get("username")
        if not login or "username" not in self.changed_data:
            return
        if Operator.objects.filter(login_key=login_key(login)).exclude(pk=self.instance.pk).exists():
            self.add_error("username", gettext("This login is taken."))

    def _check_account(self, cleaned: dict[str, Any]) -> None:
        if "account" not in self.fields or "account" in self.errors or "role" not in cleaned:
            return
        if cleaned["role"] == Role.SUPPORT and cleaned.get("account"):
            self.add_error("account", gettext("Support staff belong to no account."))
        elif cleaned["role"] != Role.SUPPORT and not cleaned.get("account"):
            self.add_error("account", gettext("An operator or supervisor belongs to one account."))

    def _check_oneself(self, cleaned: dict[str, Any]) -> None:
        if not self._is_of_oneself:
            return
        if "is_active" in self.fields and not cleaned.get("is_active"):
            self.add_error("is_active", gettext("You cannot deactivate yourself."))
        if cleaned.get("role", self.actor.role) != self.actor.role:
            self.add_error("role", gettext("You cannot change your own role."))

    def _check_password(self, cleaned: dict[str, Any]) -> None:
        password = cleaned.get("password1")
        if not password and not cleaned.get("password2"):
            return
        if not password or password != cleaned.get("password2"):
            self.add_error("password2", gettext("The two passwords differ."))
            return
        names = {name: cleaned.get(name) or getattr(self.instance, name) for name in ("username", "name", "email")}
        person = Operator(**names, account=self.own_account or self.instance.account or cleaned.get("account"))
        try:
            password_validation.validate_password(password, person)
        except ValidationError as weak:
            self.add_error("password1", weak)
