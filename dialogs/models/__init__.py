"""Visitors, their visits, and the dialogs they begin. Writes go through `dialogs.actions`; `dialogs.rules` holds the rules."""

from dialogs.models.delivery import Delivery, DeliveryStatus
from dialogs.models.dialog import (
    IS_ASSIGNED,
    IS_HELD,
    LONGEST_PREVIEW,
    OPEN_STATES,
    REOPENABLE_STATES,
    WAITS_IN_QUEUE,
    Dialog,
    Numbering,
    StartState,
    State,
)
from dialogs.models.duty import Duty, Purpose
from dialogs.models.event import DialogEvent, EventKind
from dialogs.models.message import LONGEST_TEXT, Message, MessageKind
from dialogs.models.pulse import Pulse
from dialogs.models.search import SearchText, SearchWords
from dialogs.models.visitor import (
    LONGEST_DEVICE_KEY,
    LONGEST_KEY,
    LONGEST_PUSH_TOKEN,
    LONGEST_TITLE,
    LONGEST_URL,
    Device,
    LiveProcess,
    Platform,
    Visit,
    Visitor,
)

__all__ = [
    "IS_ASSIGNED",
    "IS_HELD",
    "LONGEST_DEVICE_KEY",
    "LONGEST_KEY",
    "LONGEST_PREVIEW",
    "LONGEST_PUSH_TOKEN",
    "LONGEST_TEXT",
    "LONGEST_TITLE",
    "LONGEST_URL",
    "OPEN_STATES",
    "REOPENABLE_STATES",
    "WAITS_IN_QUEUE",
    "Delivery",
    "DeliveryStatus",
    "Device",
    "Dialog",
    "DialogEvent",
    "Duty",
    "EventKind",
    "LiveProcess",
    "Message",
    "MessageKind",
    "Numbering",
    "Platform",
    "Pulse",
    "Purpose",
    "SearchText",
    "SearchWords",
    "StartState",
    "State",
    "Visit",
    "Visitor",
]
