"""What the cards of the left panel show, as one row of plain values a dialog."""

from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import QuerySet

from dialogs.models import Dialog, State
from dialogs.rules.presence import in_app_only
from dialogs.rules.sections import Section, held_section


class Card(NamedTuple):
    """Everything that a card shows: two cards that are equal look the same. The moments are UTC."""

    number: int
    state: str
    waiting_since: datetime | None
    away_since: datetime | None
    is_offline: bool
    always_online: bool
    pickup_by: datetime | None
    last_message_at: datetime
    last_text: str
    last_is_visitors: bool
    language_id: int
    language_code: str
    department_name: str | None
    operator_name: str | None
    visitor_name: str
    visitor_is_present: bool

    @property
    def held_in(self) -> Section:
        """The section of the one who has the dialog (`rules.sections`)."""
        return held_section(is_begun=self.state == State.CHATTING)

    @property
    def is_in_app_only(self) -> bool:
        """P7: online by the push token alone, nobody is there."""
        return in_app_only(always_online=self.always_online, is_present=self.visitor_is_present)


COLUMNS = (
    *("number", "state", "waiting_since", "away_since", "is_offline", "always_online", "pickup_by"),
    *("last_message_at", "last_text", "last_is_visitors", "language_id", "language__code"),
    *("department__name", "operator__name", "visitor__name", "visitor__is_present"),
)


def card_rows(dialogs: QuerySet[Dialog]) -> QuerySet[Dialog, Any]:
    """The rows of these dialogs; `cards` makes cards of them."""
    return dialogs.values_list(*COLUMNS)


def cards(rows: Any) -> list[Card]:
    """The cards of rows that `card_rows` has found."""
    return [Card._make(row) for row in rows]
