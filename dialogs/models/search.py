"""What the archive's search reads (Q13)."""

from typing import TYPE_CHECKING, Any

from django.db import models

from dialogs.models.dialog import Dialog
from webim_offline.foundation.database.dialect import dialect

if TYPE_CHECKING:  # only the stubs of Django's fields take type arguments
    TextField = models.TextField[str, str]
else:
    TextField = models.TextField


class SearchWords(TextField):
    """Words as a search compares them: a tsvector on PostgreSQL; on SQLite stems and words with spaces between, each once."""

    def db_type(self, connection: Any) -> str | None:
        return dialect().words_type or super().db_type(connection)


class SearchText(models.Model):
    """What the archive's search reads of a dialog, or of a part of a very long one (Q13).

    Written by the database's own triggers with every message and every change of contacts, and by nobody else
    (migrations 0002 and 0014, decision 0014).
    """

    dialog = models.ForeignKey(Dialog, models.CASCADE, related_name="+")
    words = SearchWords(editable=False)
    contacts = SearchWords(editable=False)

    def __str__(self) -> str:
        return f"{self.dialog_id}"
