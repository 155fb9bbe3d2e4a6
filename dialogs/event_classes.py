"""How classes of events are made, written as JSON, and read again: the machinery of `dialogs.events`, which holds the classes.

A value that equals the default of its field is not stored. This module imports neither Django nor any app.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, ClassVar, NamedTuple, Self, TypeVar, dataclass_transform, get_args, get_origin, get_type_hints


class InvalidEvent(ValueError):
    """An event, or the stored data of one, is not what its class says. The message names the kind and the field."""


class _Field(NamedTuple):
    """How one field of an event class is stored. Computed once, when the class is made: events are written all the time."""

    name: str
    stored: str  # its name in the database
    former: str  # the name that earlier releases gave it there; empty: none
    default: object  # as it would be stored; MISSING: the field is required
    write: Callable[[Any], object]  # value -> stored form; both raise ValueError for a wrong type
    read: Callable[[Any], object]  # stored form -> value


def stored_as(name: str) -> dict[str, str]:
    """The metadata of a field whose name in the database is another one than in Python."""
    return {"stored": name}


def formerly(name: str) -> dict[str, str]:
    """The metadata of a field that earlier releases stored under another name; such rows are read, but no longer written."""
    return {"former": name}


def _plain(value_type: type) -> Callable[[Any], object]:
    """A check that writes and reads plain values of exactly this type: True is no int, and a code is no str."""

    def check(value: object) -> object:
        if type(value) is not value_type:
            raise ValueError(f"{value!r} is not of type {value_type.__name__}")
        return value

    return check


def _code(codes: type[StrEnum]) -> tuple[Callable[[Any], object], Callable[[Any], object]]:
    """How members of an enumeration are written and read."""
    members = {code.value: code for code in codes}

    def write(value: object) -> object:
        if type(value) is not codes:
            raise ValueError(f"{value!r} is not one of {codes.__name__}")
        return value.value

    def read(value: object) -> object:
        if type(value) is not str or value not in members:
            raise ValueError(f"{value!r} is not one of {codes.__name__}")
        return members[value]

    return write, read


def _codes(code: type[StrEnum]) -> tuple[Callable[[Any], object], Callable[[Any], object]]:
    """How tuples of members of an enumeration are written and read; stored, they are lists."""
    write_one, read_one = _code(code)

    def write(value: object) -> object:
        if type(value) is not tuple:
            raise ValueError(f"{value!r} is not a tuple")
        return [write_one(one) for one in value]

    def read(value: object) -> object:
        if type(value) is not list:
            raise ValueError(f"{value!r} is not a list")
        return tuple([read_one(one) for one in value])

    return write, read


def _optional(write: Callable[[Any], object]) -> Callable[[Any], object]:
    return lambda value: None if value is None else write(value)


def _write_and_read(declared: Any) -> tuple[Callable[[Any], object], Callable[[Any], object]]:
    """How values of a declared type are written and read. Raises TypeError for a type that events cannot have."""
    if get_origin(declared) is UnionType:
        inner = [one for one in get_args(declared) if one is not NoneType]
        if len(inner) == 1:
            write, read = _write_and_read(inner[0])
            return _optional(write), read  # a field without a value is not stored, so None is never read
    elif get_origin(declared) is tuple:
        code, *rest = get_args(declared)
        if rest == [...] and issubclass(code, StrEnum):
            return _codes(code)
    elif declared in {int, str, bool}:
        return _plain(declared), _plain(declared)
    elif isinstance(declared, type) and issubclass(declared, StrEnum):
        return _code(declared)
    raise TypeError(f"an event can have no field of the type {declared}")


class Event:
    """What all kinds have. `kind` is the stored code, a value of `dialogs.models.EventKind`.

    `retired` are fields that earlier releases stored and nobody needs any more: reading skips them.
    """

    __slots__ = ()
    kind: ClassVar[str]
    retired: ClassVar[frozenset[str]] = frozenset()
    stored_fields: ClassVar[tuple[_Field, ...]]

    def to_data(self) -> dict[str, Any]:
        """The event's data as a row stores it, ready for JSON. Raises InvalidEvent for a value of a wrong type."""
        data: dict[str, Any] = {}
        for name, stored, _former, default, write, _read in self.stored_fields:
            try:
                value = write(getattr(self, name))
            except ValueError as error:
                raise InvalidEvent(f"{self.kind}: {name}: {error}") from None
            if value != default:
                data[stored] = value
        return data

    @classmethod
    def from_data(cls, data: object) -> Self:
        """The event that a row's data tells of. Raises InvalidEvent for data with other fields than the class, or other types."""
        if not isinstance(data, dict):
            raise InvalidEvent(f"{cls.kind}: {data!r} is not a JSON object")
        values: dict[str, Any] = {}
        for name, stored, former, default, _write, read in cls.stored_fields:
            if stored in data:
                key = stored
            elif former and former in data:
                key = former
            elif default is MISSING:
                raise InvalidEvent(f"{cls.kind}: {stored} is missing")
            else:
                continue
            try:
                values[name] = read(data[key])
            except ValueError as error:
                raise InvalidEvent(f"{cls.kind}: {key}: {error}") from None
        if len(values) != len(data):
            cls._refuse_unknown(data)
        return cls(**values)

    @classmethod
    def _refuse_unknown(cls, data: Mapping[str, object]) -> None:
        known = {one.stored if one.stored in data else one.former for one in cls.stored_fields} | cls.retired
        if unknown := sorted(set(data) - known):
            raise InvalidEvent(f"{cls.kind}: unknown field {', '.join(unknown)}")


E = TypeVar("E", bound=Event)
CLASSES: dict[str, type[Event]] = {}  # by the stored code


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
def event_class(cls: type[E]) -> type[E]:
    """Make a class of events: a frozen dataclass with named arguments only, known by its `kind` in CLASSES."""
    made = dataclass(frozen=True, slots=True, kw_only=True)(cls)
    types = get_type_hints(made)
    found = []
    for one in fields(made):  # type: ignore[arg-type]  # mypy does not see that it is a dataclass now
        write, read = _write_and_read(types[one.name])
        default = one.default if one.default is MISSING else write(one.default)
        metadata = one.metadata
        found.append(_Field(one.name, metadata.get("stored", one.name), metadata.get("former", ""), default, write, read))
    made.stored_fields = tuple(found)
    if made.kind in CLASSES:
        raise TypeError(f"two classes of events have the kind {made.kind}")
    CLASSES[made.kind] = made
    return made
