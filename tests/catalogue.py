"""The message catalogues: every msgid of the sources, brought into the .po files without any system package.

    python -m tests.catalogue                 new msgids in, dropped ones out
    python -m tests.catalogue words.json ...  and merge translations: {"msgid": "text", "singular|||plural": ["1", "2", "5"]}

A msgid with a context is written "context|msgid" in a JSON file only when the plain msgid does not exist.
"""

import json
import os
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webim_offline.settings")

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po
from django.utils.translation import templatize

from webim_offline.catalogues import LOCALE_DIR, compile_changed

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("ru",)
FOLDERS = ("operators", "dialogs", "notifications", "webim_offline", "templates")
PLURAL = "|||"
KEYWORDS: dict[str, tuple | None] = {
    **dict.fromkeys(("_", "gettext", "gettext_lazy", "gettext_noop")),
    **dict.fromkeys(("ngettext", "ngettext_lazy"), (1, 2)),
    **dict.fromkeys(("pgettext", "pgettext_lazy"), ((1, "c"), 2)),
    **dict.fromkeys(("npgettext", "npgettext_lazy"), ((1, "c"), 2, 3)),
}
HEADER = "# The words of webim_offline. Written by `make messages`; translations are edited here or merged from a file."

Key = tuple[str | tuple[str, ...], str | None]


def key_of(message: Message) -> Key:
    """What makes an entry the same entry: msgid (a pair for plurals) and context."""
    return (tuple(message.id) if isinstance(message.id, list | tuple) else message.id, message.context)


def sources() -> Iterator[tuple[str, str, str]]:
    """(path, method, text) of everything that holds words. Templates are turned into something that looks like Python."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            name = str(path.relative_to(ROOT))
            if path.suffix == ".py" and "migrations" not in path.parts:
                yield name, "python", path.read_text()
            elif path.suffix in {".html", ".txt", ".svg"} and "templates" in path.parts:
                text = templatize(path.read_text(), origin=name)
                # indentation of the page means nothing, but the tokenizer would mind it
                yield name, "python", "\n".join(line.lstrip() for line in text.splitlines())
            elif path.suffix == ".js" and "static" in path.parts:
                yield name, "javascript", path.read_text()


def template() -> Catalog:
    """Every msgid of the sources, with the files it stands in."""
    catalogue = Catalog(fuzzy=False)
    for name, method, text in sources():
        for _line, ids, comments, context in extract(
            method, BytesIO(text.encode()), KEYWORDS, ["Translators:"], {"encoding": "utf-8"}
        ):
            if ids not in {"", ("", "")}:
                catalogue.add(ids, locations=[(name, 0)], auto_comments=comments, context=context)
    return catalogue


def po_file(language: str) -> Path:
    return LOCALE_DIR / language / "LC_MESSAGES" / "django.po"


def stored(language: str) -> Catalog:
    """The catalogue as committed; an empty one where there is none yet."""
    if not po_file(language).exists():
        return Catalog(locale=language)
    with po_file(language).open("rb") as file:
        return read_po(file, locale=language)


def updated(language: str) -> Catalog:
    """The stored translations of exactly the msgids that the sources have."""
    old = stored(language)
    known = {key_of(message): message for message in old if message.id}
    fresh = Catalog(
        locale=language,
        project="webim_offline",
        version="1",
        msgid_bugs_address="-",
        last_translator="-",
        language_team="-",
        charset="utf-8",
        fuzzy=False,
        header_comment=HEADER,
        creation_date=old.creation_date,
        revision_date=old.revision_date,
    )
    for message in sorted(template(), key=lambda message: (str(message.id), message.context or "")):
        if message.id:
            same = known.get(key_of(message))
            fresh.add(
                message.id,
                same.string if same else None,
                locations=sorted(set(message.locations)),
                auto_comments=message.auto_comments,
                user_comments=same.user_comments if same else (),
                context=message.context,
            )
    return fresh


def merge(catalogue: Catalog, words: dict[str, str | list[str]]) -> list[str]:
    """Put translations in; returns the keys that no msgid answers to."""
    entries = {}
    for message in catalogue:
        if message.id:
            msgid = PLURAL.join(message.id) if isinstance(message.id, list | tuple) else message.id
            entries[f"{message.context}|{msgid}" if message.context else msgid] = message
    unknown = []
    for key, translation in words.items():
        if key not in entries:
            unknown.append(key)
            continue
        plural = isinstance(entries[key].id, list | tuple)
        if plural != isinstance(translation, list) or (plural and len(translation) != catalogue.num_plurals):
            raise SystemExit(f"{key!r}: give {f'{catalogue.num_plurals} forms' if plural else 'one text'}")
        entries[key].string = tuple(translation) if isinstance(translation, list) else translation
    return unknown


def untranslated(catalogue: Catalog) -> list[str]:
    """The msgids without a (whole) translation."""
    missing = []
    for message in catalogue:
        forms = message.string if isinstance(message.string, list | tuple) else [message.string]
        if message.id and (not all(forms) or message.fuzzy):
            missing.append(PLURAL.join(message.id) if isinstance(message.id, list | tuple) else message.id)
    return missing


def main(files: list[str]) -> None:
    for language in LANGUAGES:
        catalogue = updated(language)
        for file in files:
            for key in merge(catalogue, json.loads(Path(file).read_text())):
                print(f"{file}: no msgid {key!r}")
        po_file(language).parent.mkdir(parents=True, exist_ok=True)
        with po_file(language).open("wb") as output:
            write_po(output, catalogue, width=0, include_lineno=False, sort_output=False)
        for msgid in untranslated(catalogue):
            print(f"{language}: not translated: {msgid!r}")
    compile_changed()


if __name__ == "__main__":
    main(sys.argv[1:])
