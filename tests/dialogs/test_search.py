"""The index of the search follows every write, whoever writes, and knows the forms of words in both languages (Q13)."""

from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection, models, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dialogs.models import Dialog, Message, MessageKind, SearchText, Visitor
from dialogs.reading import search
from dialogs.reading.search_index import search_index
from tests import people
from tests.dialogs.test_search_terms import FOUND, NOT_FOUND
from tests.test_folding import WRITTEN
from webim_offline.foundation.database import folding, stemming
from webim_offline.foundation.database.bulk import Insert, write
from webim_offline.foundation.database.clock import database_now


def numbers(account, text):
    """Numbers of the account's dialogs that have the words."""
    sought = search.terms(text)
    found = search.found(sought, account.pk).values("dialog") if sought.index else []
    return sorted(Dialog.objects.filter(account=account, pk__in=found).values_list("number", flat=True))


def say(dialog, text, kind=MessageKind.OPERATOR):
    return Message.objects.create(dialog=dialog, kind=kind, text=text, at=database_now(), revision=dialog.revision + 1)


class TestWords:
    @pytest.mark.parametrize(
        ("written", "asked"),
        [
            ("Оформите возврат, пожалуйста", "возвраты"),
            ("Оформите возврат, пожалуйста", "ВОЗВРАТА"),
            ("Ещё не получила мою посылку", "посылка получил"),
            ("Ещё не получила мою посылку", "еще посылки"),
            ("Where are the returned parcels?", "return parcel"),
            ("I was charged two times", "charging"),
            ("Онлайн-чат не работает", "чат онлайн"),
            ("Заказ AB-1234 в пути", "ab 1234"),
            ("Заказ AB-1234 в пути", "AB-1234"),
            ("See https://shop.example/teapots/dragon?page=2", "dragon"),
            ("Пишите на olga@company.example", "olga@company.example"),
            ("It's 12.5 kg", "12.5"),
            ("Заказ №88240", "88240"),
            ("Чайник разбит, order arrived broken", "чайники orders"),
        ],
    )
    def test_a_message_is_found_by_any_form_of_its_words_in_both_languages(self, account, written, asked):
        people.start_dialog(account, text="Something else entirely")
        wanted = people.start_dialog(account, text=written)
        assert numbers(account, asked) == [wanted.number]

    def test_every_word_must_be_in_the_dialog_in_whichever_message(self, account):
        dialog = people.start_dialog(account, text="Разбит чайник", name="Светлана")
        say(dialog, "Замена будет завтра")
        assert numbers(account, "чайник замены светлана") == [dialog.number]
        assert numbers(account, "чайник рассрочка") == []

    @pytest.mark.parametrize("asked", ["the", "и", "Where is my", "??? !!!", "☂", "''", "\\", "%"])
    def test_of_words_that_are_everywhere_and_of_none_nothing_is_left(self, account, asked):
        assert search.terms(asked).index == ""

    @pytest.mark.parametrize(
        "asked", ["' | 'x", "a:*", "!чайник", "(чайник", "чайник & !order", '"чайник" OR NOT', "чайник:AB", "чайник NEAR x"]
    )
    def test_what_looks_like_an_expression_is_nothing_but_words(self, account, asked):
        people.start_dialog(account, text="Nothing of it")
        assert numbers(account, asked) == []

    @pytest.mark.parametrize("asked", ["+7 (999) 123-45-67", "89991234567", "9991234567", "999 123 45 67"])
    def test_a_telephone_number_is_found_however_it_is_written(self, account, asked):
        visitor = people.make_visitor(account, phone="+7 999 123-45-67")
        dialog = people.start_dialog(account, visitor=visitor)
        people.start_dialog(account, visitor=people.make_visitor(account, phone="+7 999 123-45-68"))
        assert numbers(account, asked) == [dialog.number]

    def test_a_visitor_is_found_by_name_and_mail(self, account):
        dialog = people.start_dialog(account, visitor=people.make_visitor(account, name="Пётр Ёлкин", email="p.elkin@mail.example"))
        people.start_dialog(account)
        assert numbers(account, "петр елкин") == numbers(account, "p.elkin@mail.example") == [dialog.number]

    @pytest.mark.parametrize(("written", "asked"), FOUND)
    def test_a_search_compares_folded_words_numbers_and_pairs_of_characters(self, account, written, asked):
        people.start_dialog(account, text="Something else entirely", name="Somebody")
        said = people.start_dialog(account, text=written, name="Somebody")
        named = people.start_dialog(account, text="Something else entirely", visitor=people.make_visitor(account, name=written))
        assert numbers(account, asked) == [said.number, named.number]
        assert search.passages(search.terms(asked), [said.pk, named.pk]) == {said.pk: written}

    @pytest.mark.parametrize(("written", "asked"), NOT_FOUND)
    def test_what_is_only_alike_is_not_found(self, account, written, asked):
        people.start_dialog(account, text=written, name="Somebody")
        assert numbers(account, asked) == []

    @pytest.mark.parametrize("asked", ["lexus", "lexus mail", "15", "LEXUS15@MAIL.EXAMPLE", "lexus15"])
    def test_a_mail_address_is_found_by_its_parts(self, account, asked):
        dialog = people.start_dialog(account, visitor=people.make_visitor(account, email="lexus15@mail.example"))
        people.start_dialog(account, visitor=people.make_visitor(account, email="toyota14@post.example"))
        assert numbers(account, asked) == [dialog.number]

    @pytest.mark.parametrize(
        "text",
        [
            " ".join(chr(0x430 + n % 32) + str(n) for n in range(50))[:200],
            " ".join(f"é{n:x}ß" for n in range(40)),
            "".join(chr(0x4E00 + n) for n in range(200)),
            ", ".join(str(n) for n in range(10, 60)),
            " ".join(str(n) for n in range(10, 76)),
            "1." * 100,
            "紅a1" * 50,
            "ab@12." * 33,
        ],
    )
    def test_a_search_of_the_greatest_length_is_answered(self, account, text):
        dialog = people.start_dialog(account, text=text, name="Somebody")
        assert numbers(account, text) == [dialog.number]
        assert search.passages(search.terms(text), [dialog.pk]) == {dialog.pk: text}

    def test_numbers_of_two_messages_are_not_joined(self, account):
        dialog = people.start_dialog(account, text="12345")
        say(dialog, "67890")
        Message.objects.filter(text="67890").update(text="67891")  # the dialog is indexed anew, all its messages together
        assert numbers(account, "12345 67891") == [dialog.number]
        assert numbers(account, "1234567891") == []

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(WRITTEN)
    def test_any_text_is_kept_and_any_search_is_answered(self, account, text):
        people.start_dialog(account, text=text or "x")
        numbers(account, text)
        search.passages(search.terms(text), [1])

    def test_system_messages_are_not_searched(self, account):
        dialog = people.start_dialog(account)
        say(dialog, "quarantine", kind=MessageKind.SYSTEM)
        assert numbers(account, "quarantine") == []


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite calls the functions in Python themselves")
@pytest.mark.django_db
class TestTheSameInSQL:
    """The functions of PostgreSQL agree with those in Python, by which searches are read and hits marked."""

    def told(self, function, text):
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {function}(%s)", [text])
            return cursor.fetchone()[0]

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(st.text("аийЙёЁжЖàÀÖßẞøŁIİıςΣάΐὁaZ紅がハ019 -–.\u00ad\u200b\u0301\u0306\u0308@"))
    def test_folding(self, text):
        assert self.told("dialogs_search_folded", text) == folding.folded(text)

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(st.text("0178 -(.)+x\n", max_size=40) | st.text("78 -", min_size=10, max_size=40))
    def test_numbers(self, text):
        assert set(self.told("dialogs_search_numbers", text)) == {number for number, _span in folding.numbers(text)}

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(st.text("xyб19 紅茶がハ가好@.-"))
    def test_words_and_pairs(self, text):
        with connection.cursor() as cursor:
            cursor.execute("SELECT tsvector_to_array(dialogs_search_words(%s))", [text])
            assert set(cursor.fetchone()[0]) == set(stemming.distinct(text).split())


class TestTheIndexFollows:
    def test_every_way_to_write_a_message(self, account):
        dialog = people.start_dialog(account)
        say(dialog, "teapot")
        Message.objects.bulk_create(
            [Message(dialog=dialog, kind=MessageKind.VISITOR, text="samovar", at=database_now(), revision=20)]
        )
        columns = ("dialog_id", "kind", "text", "code", "params", "at", "revision", "client_key")
        rows = [
            (dialog.pk, kind, text, "", {}, database_now(), 21, "") for kind, text in (("operator", "kettle"), ("system", "spoon"))
        ]
        write(Insert(Message, columns, rows))
        assert numbers(account, "teapot samovar kettle") == [dialog.number]
        assert numbers(account, "spoon") == []

    def test_what_is_taken_back_was_never_there(self, account):
        dialog = people.start_dialog(account)
        with transaction.atomic():
            say(dialog, "teapot")
            assert numbers(account, "teapot") == [dialog.number]
            transaction.set_rollback(True)
        assert numbers(account, "teapot") == []

    def test_changed_and_deleted_texts_are_not_found_by_what_they_said(self, account):
        dialog = people.start_dialog(account, text="My card is 4000123412341234")
        other = say(dialog, "Keep the teapot")
        Message.objects.filter(dialog=dialog, kind=MessageKind.VISITOR).update(text="[removed]")
        assert numbers(account, "4000123412341234") == []
        assert numbers(account, "removed teapot") == [dialog.number]
        other.delete()
        assert numbers(account, "teapot") == []
        assert numbers(account, "removed") == [dialog.number]

    def test_changed_contacts_in_all_dialogs_of_the_visitor(self, account):
        visitor = people.make_visitor(account, name="Olga", phone="+7 111 111-11-11")
        dialog = people.start_dialog(account, visitor=visitor)
        Visitor.objects.filter(pk=visitor.pk).update(name="Helga", phone="+7 222 222-22-22", email="h@mail.example")
        for asked in ("helga", "2222222222", "h@mail.example"):
            assert numbers(account, asked) == [dialog.number]
        assert numbers(account, "olga") == numbers(account, "1111111111") == []

    def test_nothing_is_left_of_a_deleted_dialog(self, account):
        dialog = people.start_dialog(account, text="teapot")
        dialog.delete()
        assert not SearchText.objects.exists()
        connection.check_constraints()

    def test_a_very_long_dialog_is_kept_in_parts_and_found_by_all_of_them(self, account):
        dialog = people.start_dialog(account, text="beginning", name="Svetlana")
        for part in range(4):
            say(dialog, " ".join(f"word{part}x{n}" for n in range(600)))
        say(dialog, "ending")
        assert 1 < SearchText.objects.count() < 5
        for asked in ("beginning", "word0x599 svetlana", "word3x0", "ending svetlana"):
            assert numbers(account, asked) == [dialog.number]

    def test_a_text_of_the_greatest_length_in_any_letters_is_kept(self, account):
        for letters in ("ы" * 4000, "я " * 2000, "\u1e9e\u0130 " * 1300, "'\"\\:*&|!()<->" * 300, "\U0001f600" * 4000):
            people.start_dialog(account, text=letters)
        assert SearchText.objects.count() == 5

    def test_a_dialog_with_more_words_than_a_tsvector_holds_is_indexed_anew(self, account):
        """It holds 1 MB."""
        dialog = people.start_dialog(account, text="beginning")
        texts = [" ".join(f"{message:030}x{word:030}" for word in range(64)) for message in range(400)]
        rows = [
            Message(dialog=dialog, kind="visitor", text=text, at=dialog.created_at, revision=10 + n) for n, text in enumerate(texts)
        ]
        Message.objects.bulk_create(rows)
        Message.objects.filter(text="beginning").update(text="start")
        assert numbers(account, "start") == numbers(account, texts[-1][-61:]) == [dialog.number]

    def test_messages_of_a_few_very_long_words_are_kept_and_found(self, account):
        """A hundred of them have more than 1 MB of words, although they have few words."""
        dialog = people.start_dialog(account, text="beginning")
        for number in range(100):
            long = " ".join(f"{'шалаш' * 180}{number}ами{place}ями" for place in range(4))
            people.write(dialog.visitor, f"номер{number:03} {long}"[:4000])
        assert numbers(account, "номер000") == numbers(account, "номер099") == [dialog.number]


@pytest.mark.django_db(transaction=True)
class TestTheSchema:
    def test_rows_from_before_are_indexed_by_the_migration(self, account):
        dialog = people.start_dialog(account, text="Возвраты денег", name="Svetlana")
        say(dialog, "spoon", kind=MessageKind.SYSTEM)
        migration = import_module("dialogs.migrations.0002_search")
        with connection.schema_editor(atomic=False) as editor:
            migration.end(apps, editor)
        late = people.start_dialog(account, text="teapot")
        with connection.schema_editor(atomic=False) as editor:
            migration.begin(apps, editor)
            # what later migrations made of its triggers: the rest of the suite needs them
            import_module("dialogs.migrations.0012_search_after_dialogs").lock_dialogs_first(apps, editor)
            import_module("dialogs.migrations.0014_search_folded").fold(apps, editor)
        assert numbers(account, "возврат svetlana") == [dialog.number]
        assert numbers(account, "teapot") == [late.number]
        assert numbers(account, "spoon") == []
        say(dialog, "kettle")
        assert numbers(account, "kettle") == [dialog.number]

    def test_the_texts_of_the_former_release_are_indexed_anew(self, account, monkeypatch):
        """The migration can be taken back, and an attempt that was interrupted can be repeated."""
        migration = import_module("dialogs.migrations.0014_search_folded")
        monkeypatch.setattr(migration, "BATCH", 2)
        made = [
            people.start_dialog(
                account, text=f"Возврат {n}: +7 (912) 345-67-89", visitor=people.make_visitor(account, name="Müller")
            )
            for n in range(5)
        ]
        with connection.schema_editor(atomic=False) as editor:
            migration.as_before(apps, editor)
        late = people.start_dialog(account, text="Возврат")
        for _attempt in range(2):
            with connection.schema_editor(atomic=False) as editor:
                migration.fold(apps, editor)
        assert numbers(account, "возвраты") == [dialog.number for dialog in (*made, late)]
        assert numbers(account, "muller") == numbers(account, "89123456789") == [dialog.number for dialog in made]
        assert SearchText.objects.count() == 6
        say(late, "чайник")
        assert numbers(account, "чайн") == [late.number]

    @pytest.mark.skipif(
        connection.vendor != "postgresql", reason="on SQLite the triggers call functions of the process that writes"
    )
    def test_processes_of_the_former_release_go_on_searching(self, account):
        """A word that has no diacritics is found by the expression that they make."""
        dialog = people.start_dialog(account, text="Оформите возврат, +7 (912) 345-67-89", name="Svetlana")
        with connection.cursor() as cursor:
            cursor.execute("SELECT plainto_tsquery('russian', dialogs_search_plain(%s))::text", ["возвраты svetlana 345"])
            found = SearchText.objects.filter(search_index().dialogs_with(cursor.fetchone()[0], account.pk))
        assert [text.dialog_id for text in found] == [dialog.pk]

    def test_the_index_outlives_a_change_of_the_tables_it_watches(self, account):
        """Django makes a table anew for this on SQLite, which drops its triggers."""
        dialog = people.start_dialog(account, name="Olga")
        for model in (Dialog, Message, Visitor):
            added = models.CharField(max_length=5, default="x")
            added.set_attributes_from_name("added_by_a_test")
            with connection.schema_editor() as editor:
                editor.add_field(model, added)
            with connection.schema_editor() as editor:
                editor.remove_field(model, added)
        say(dialog, "kettle")
        Visitor.objects.filter(pk=dialog.visitor_id).update(name="Helga")
        assert numbers(account, "kettle helga") == [dialog.number]
        assert numbers(account, "olga") == []
