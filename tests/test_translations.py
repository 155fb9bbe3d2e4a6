"""Every text a person can see is in Russian too, whole and with the same placeholders."""

import re

import pytest
from django.utils import translation
from django.utils.translation import gettext, ngettext

from tests import catalogue
from webim_offline.catalogues import LOCALE_DIR, compile_changed

PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|%%|\{\w*\}")
CONTRACT = {  # fixed by behaviour.md and interfaces.md, letter for letter
    "Waiting for a reply": "Ожидают ответа",
    "In dialog with you": "В диалоге с вами",
    "General queue": "Общая очередь",
    "Offline inquiries": "Офлайн-обращения",
    "Other operators": "Другие операторы",
    "Visitor left the site": "Посетитель покинул сайт",
    "Visitor on the site": "Посетитель на сайте",
    "Visitor offline": "Посетитель офлайн",
    "The dialog went offline: the visitor is not on the site": "Диалог перешёл в офлайн: посетителя нет на сайте",
    "The visitor is back on the site": "Посетитель вернулся на сайт",
    "For left messages": "Для оставленных сообщений",
    "Visitor": "Посетитель",
    "Chat with us": "Написать нам",
    "Leave a message": "Оставить сообщение",
    "Name": "Имя",
    "Email": "Эл. почта",
    "Phone": "Телефон",
    "Message": "Сообщение",
    "Send": "Отправить",
    "End chat": "Завершить чат",
    "Take": "Взять",
    "Reply": "Ответ",
    "Close dialog": "Закрыть диалог",
    "Status": "Статус",
    "Dialogs": "Диалоги",
    "Online": "Онлайн",
    "Invisible": "Невидимка",
    "Break: lunch": "Перерыв: обед",
    "Break: personal": "Перерыв: личный",
    "Break: technical": "Перерыв: технический",
    "Break: training": "Перерыв: обучение",
    "Break: meeting": "Перерыв: совещание",
    "Offline": "Офлайн",
    "We will answer by e-mail": "Мы ответим на вашу почту",
    "We will contact you": "Мы свяжемся с вами",
}


@pytest.fixture(scope="module")
def russian():
    """The stored entries by key."""
    return {catalogue.key_of(message): message for message in catalogue.stored("ru") if message.id}


@pytest.fixture(scope="module")
def sources():
    return {catalogue.key_of(message) for message in catalogue.template() if message.id}


def forms(text):
    return list(text) if isinstance(text, list | tuple) else [text]


def placeholders(text):
    return set(PLACEHOLDER.findall(text or ""))


def test_the_sources_are_read(sources):
    """Words of Python, of a template and of a plural are all found: an empty extraction would pass everything else."""
    plain = {msgid for msgid, _ in sources if isinstance(msgid, str)}
    assert {"The visitor is back on the site", "For left messages"} <= plain
    assert len(plain) > 100


def test_the_catalogue_has_every_text_and_nothing_else(sources, russian):
    assert sorted(map(str, sources - russian.keys())) == [], "run make messages"
    assert sorted(map(str, russian.keys() - sources)) == [], "run make messages"
    assert not catalogue.stored("ru").obsolete


def test_every_text_is_translated():
    assert catalogue.untranslated(catalogue.stored("ru")) == []


def test_placeholders_agree(russian):
    wrong = []
    for (msgid, _), message in russian.items():
        allowed = set().union(*map(placeholders, forms(msgid)))
        needed = set.intersection(*map(placeholders, forms(msgid)))
        wrong += [(msgid, text) for text in forms(message.string) if text and not needed <= placeholders(text) <= allowed]
    assert wrong == []


def test_edges_agree(russian):
    """A blank or a line's end at the edge of a text is there for a reason."""
    wrong = [
        (msgid, text)
        for (msgid, _), message in russian.items()
        for text in forms(message.string)
        if text and (text[0].isspace() != forms(msgid)[0][0].isspace() or text[-1].isspace() != forms(msgid)[0][-1].isspace())
    ]
    assert wrong == []


def test_the_words_of_the_contract(russian):
    told = {msgid: message.string for (msgid, context), message in russian.items() if msgid in CONTRACT and context is None}
    assert {msgid: CONTRACT[msgid] for msgid in told} == told
    assert {"Visitor left the site", "General queue", "Leave a message", "Break: lunch"} <= told.keys()


def test_the_compiled_catalogue_is_the_source(russian):
    compile_changed()
    assert (LOCALE_DIR / "ru" / "LC_MESSAGES" / "django.mo").exists()
    with translation.override("ru"):
        for (msgid, context), message in russian.items():
            if not all(forms(message.string)):
                continue  # told by test_every_text_is_translated
            if isinstance(msgid, str) and context is None:
                assert gettext(msgid) == message.string
            elif context is None:
                assert [ngettext(*msgid, number) for number in (1, 2, 5)] == list(message.string)


class TestTool:
    def test_plurals_templates_and_contexts_are_extracted(self, tmp_path, monkeypatch):
        (tmp_path / "dialogs").mkdir()
        (tmp_path / "templates").mkdir()
        (tmp_path / "dialogs" / "a.py").write_text(
            '_("One" " text")\nngettext_lazy("%(n)s dog", "%(n)s dogs", n)\npgettext("verb", "Close")\n'
        )
        (tmp_path / "templates" / "a.html").write_text(
            "{% load i18n %}\n   <p>{% translate 'Hello' %}\n {% blocktranslate count n=n trimmed %}{{ n }} cat\n"
            "{% plural %}{{ n }} cats{% endblocktranslate %}</p>\n  <b title=\"it's\">{{ x|default:_('Nobody') }}</b>"
        )
        monkeypatch.setattr(catalogue, "ROOT", tmp_path)
        found = {catalogue.key_of(message) for message in catalogue.template() if message.id}
        assert found == {
            ("One text", None),
            (("%(n)s dog", "%(n)s dogs"), None),
            ("Close", "verb"),
            ("Hello", None),
            (("%(n)s cat", "%(n)s cats"), None),
            ("Nobody", None),
        }

    def test_new_words_come_in_old_ones_stay_dropped_ones_go(self, tmp_path, monkeypatch):
        (tmp_path / "dialogs").mkdir()
        module = tmp_path / "dialogs" / "a.py"
        monkeypatch.setattr(catalogue, "ROOT", tmp_path)
        monkeypatch.setattr(catalogue, "LOCALE_DIR", tmp_path / "locale")
        monkeypatch.setattr(catalogue, "compile_changed", lambda: compile_changed(tmp_path / "locale"))
        words = tmp_path / "words.json"
        module.write_text('_("Old")\n_("Stays")\nngettext("%(n)s dog", "%(n)s dogs", 1)')
        words.write_text(
            '{"Old": "Старое", "Stays": "Остаётся", "%(n)s dog|||%(n)s dogs": ["%(n)s пёс", "%(n)s пса", "%(n)s псов"]}'
        )
        catalogue.main([str(words)])
        module.write_text('_("New")\n_("Stays")\nngettext("%(n)s dog", "%(n)s dogs", 1)')
        catalogue.main([])
        stored = {str(message.id): message.string for message in catalogue.stored("ru") if message.id}
        assert stored == {"New": "", "Stays": "Остаётся", "('%(n)s dog', '%(n)s dogs')": ("%(n)s пёс", "%(n)s пса", "%(n)s псов")}
        assert catalogue.untranslated(catalogue.stored("ru")) == ["New"]
        before = catalogue.po_file("ru").read_text()
        catalogue.main([])
        assert catalogue.po_file("ru").read_text() == before, "a second run changes nothing"

    def test_a_translation_of_nothing_is_told(self, tmp_path, monkeypatch):
        monkeypatch.setattr(catalogue, "ROOT", tmp_path)
        assert catalogue.merge(catalogue.template(), {"Nowhere": "Нигде"}) == ["Nowhere"]
