"""Models that know which of their columns were changed since they were loaded, so that no write has to list them."""

from collections.abc import Collection, Iterable, Sequence
from functools import cache
from typing import Any, Self

from django.db import models

from webim_offline.foundation.database.bulk import Update


class RemembersLoaded(models.Model):
    """A model whose instances remember the values that the database gave them.

    `changed_columns` compares these with what the instance holds now. A field that was neither loaded (`only`, `defer`)
    nor assigned is unknown to the instance and never among them, so it cannot be overwritten with something older. A field
    that was assigned without having been loaded counts as changed.
    """

    class Meta:
        abstract = True

    @classmethod
    def from_db(cls, db: str | None, field_names: Collection[str], values: Collection[Any], **options: Any) -> Self:
        instance = super().from_db(db, field_names, values, **options)
        instance.remember_loaded()
        return instance

    def refresh_from_db(
        self, using: str | None = None, fields: Iterable[str] | None = None, from_queryset: models.QuerySet[Self] | None = None
    ) -> None:
        """Django's own, which also loads a deferred field on its first use."""
        names = None if fields is None else list(fields)
        super().refresh_from_db(using, names, from_queryset)
        if names is None:
            self.remember_loaded()
            return
        loaded = _loaded(self)
        for column in _columns(type(self), tuple(names)):
            if column in self.__dict__:
                loaded[column] = _copied(self.__dict__[column])

    def remember_loaded(self) -> None:
        """Take what the instance holds now for what the database holds: after loading it, and after writing it."""
        held = self.__dict__.copy()
        for name in _json_columns(type(self)):
            if name in held:
                held[name] = _copied(held[name])
        self._state.__dict__["loaded"] = held

    def changed_columns(self) -> frozenset[str]:
        """The attribute names, such as `operator_id`, of the columns that differ from what was loaded."""
        before = _loaded(self).get
        differing = [
            name
            for name, value in self.__dict__.items()
            if (old := before(name, UNKNOWN)) is not value and (old is UNKNOWN or old != value)
        ]
        return _all_columns(type(self)).intersection(differing)


UNKNOWN = object()


def _loaded(instance: RemembersLoaded) -> dict[str, Any]:
    """What was loaded, by attribute name. It is kept beside Django's own state of the instance, not among its attributes."""
    known: dict[str, Any] = instance._state.__dict__.setdefault("loaded", {})
    return known


def updates_of(model: type[RemembersLoaded], rows: Iterable[RemembersLoaded]) -> list[Update]:
    """The writes that store what changed in these instances: few statements, whatever changed in however many of them.

    Instances that hold the same attributes are written together, each with every column that changed in any of them; where
    it did not change it is written as it was loaded. So the rows have to have been locked when they were loaded.
    """
    alike: dict[tuple[str, ...], tuple[list[RemembersLoaded], set[str]]] = {}
    for row in rows:
        if changed := row.changed_columns():
            together, names = alike.setdefault(tuple(row.__dict__), ([], set()))
            together.append(row)
            names |= changed
    return [_update(model, together, sorted(names)) for together, names in alike.values()]


def _update(model: type[RemembersLoaded], rows: Sequence[RemembersLoaded], names: Sequence[str]) -> Update:
    return Update(model, tuple(names), [(row.pk, *(row.__dict__[name] for name in names)) for row in rows])


@cache
def _all_columns(model: type[models.Model]) -> frozenset[str]:
    """The attribute names of a model's columns, without its primary key."""
    return frozenset(field.attname for field in model._meta.concrete_fields if not field.primary_key)


@cache
def _json_columns(model: type[models.Model]) -> tuple[str, ...]:
    return tuple(field.attname for field in model._meta.concrete_fields if isinstance(field, models.JSONField))


@cache
def _columns(model: type[models.Model], names: tuple[str, ...]) -> tuple[str, ...]:
    """The attribute names of the columns that these names of fields, or of attributes, mean."""
    return tuple(field.attname for field in model._meta.concrete_fields if field.name in names or field.attname in names)


def _copied(value: Any) -> Any:
    """A value to compare with later: an object of JSON can be changed in place, so it is copied."""
    return dict(value) if isinstance(value, dict) else value
