"""The helper that lets time go by knows every moment that is stored."""

from django.apps import apps
from django.db import models

from tests.passing_time import HISTORY, SIGNS_OF_LIFE


def test_it_knows_every_column_of_time():
    stored = {
        (model, field.name)
        for label in ("operators", "dialogs", "notifications")
        for model in apps.get_app_config(label).get_models(include_auto_created=True)
        for field in model._meta.concrete_fields
        if isinstance(field, models.DateTimeField)
    }
    known = [(model, name) for columns in (HISTORY, SIGNS_OF_LIFE) for model, names in columns.items() for name in names]
    assert len(known) == len(set(known))
    assert set(known) == stored, "say in tests/passing_time.py whether a new column moves with time or is a sign of life"
