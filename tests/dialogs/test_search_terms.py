"""What a search asks for, and what it marks, without a database (C7)."""

import json
from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogs.reading import search
from dialogs.reading.search_terms import Term, Word, marks, parsed
from tests.test_folding import PHONE_DIGITS, WRITTEN
from webim_offline.foundation.database import stemming

# (text, search)
FOUND = [
    ("Какой раи\u0306он?", "район"),
    ("Какой район?", "раи\u0306он"),
    ("Е\u0308лка, zoe\u0308", "елка zoë"),
    ("Herr Müller", "muller"),
    ("Herr Muller", "Müller"),
    ("Straße", "STRASSE"),
    ("naive", "naïve"),
    ("naïve", "naive"),
    ("Ωραία", "ωραια"),
    ("за\u0301мок", "замок"),
    ("Телефон +7 (912) 345-67-89, звоните", "89123456789"),
    ("Телефон +7 (912) 345-67-89, звоните", "9123456789"),
    ("Телефон +7 (912) 345-67-89, звоните", "8 912 345"),
    ("Телефон +7 (912) 345-67-89, звоните", "8912345"),
    ("тел89123456789", "+7 912 345-67-89"),
    ("+49 170 1234567", "0170 1234567"),
    ("карта 4000 1234 1234 1234", "4000123412341234"),
    ("lexus15@mail.example", "lexus"),
    ("lexus15@mail.example", "lexus mail"),
    ("lexus15@mail.example", "15 lexus"),
    ("我想买红茶和绿茶", "红茶"),
    ("我想买红茶和绿茶", "茶"),
    ("我想买红茶和绿茶", "绿茶"),
    ("東京タワーへ行きました", "タワー"),
    ("주문번호를 알려주세요", "번호"),
    ("iPhone手机", "手机 iphone"),
    ("Оформите возврат", "возвр"),
    ("Happiness", "happine"),
    ("Where is the samovar", "where samov"),
    ("воз\u00adврат", "возврат"),
    ("पानी की बोतल", "बोतल"),
]
NOT_FOUND = [
    ("мои", "мой район"),
    ("Samovar", "samo teapot"),  # only the last word may be unfinished
    ("Samovar", "teapot sam x"),
    ("Samovar", "sa"),
    ("+7 (912) 345-67-80", "89123456789"),
    ("8 812 345 67 89", "9123456789"),
    ("word 12\n34", "1234"),
    ("红的茶", "红茶"),
    ("order 123", "8123"),
]


def is_found(asked: str, text: str) -> bool:
    """Whether SQLite would find the text; nothing is found by stop words alone."""
    wanted = [
        item.wanted(stemming.forms(item.text)[:1], stemming.forms(item.text)[-1:]) if isinstance(item, Word) else item
        for item in parsed(asked)
    ]
    wanted = [item for item in wanted if item]
    as_json = json.dumps([[[astuple(term) for term in terms] for terms in item] for item in wanted])
    return bool(wanted) and stemming.held(text, as_json) == 2


def marked(asked: str, text: str) -> list[str]:
    return [piece for piece, is_hit in search.marked(text, marks(parsed(asked))) if is_hit]


class TestItems:
    @pytest.mark.parametrize(
        "asked", ["", "😀", "??? !!!", "☂", "''", "\\", "%", "—", "№", "#", "_", "👨‍👩‍👧", "\u200b", "+ ( ) -"]
    )
    def test_signs_alone_ask_for_nothing(self, asked):
        assert parsed(asked) == []

    def test_the_last_word_may_be_the_beginning_of_one(self):
        assert parsed("red tea, ") == [Word("red"), Word("tea", is_last=True)]
        assert Word("tea", is_last=True).wanted(["tea"], ["tea"]) == ((Term("tea"),), (Term("tea", is_beginning=True),))
        assert Word("te", is_last=True).wanted(["te"], ["te"]) == ((Term("te"),),)
        assert Word("tea").wanted(["tea"], ["tea"]) == ((Term("tea"),),)

    def test_a_stop_word_is_not_looked_up_even_as_a_beginning(self):
        assert Word("the", is_last=True).wanted([], []) == ()

    def test_a_number_is_one_item_in_three_spellings(self):
        (number,) = parsed("8 (912) 345-67-89")
        groups = tuple(map(Term, ("8", "912", "345", "67", "89")))
        assert number == (groups, (Term("89123456789", is_beginning=True),), (Term("9123456789"),))

    def test_characters_without_spaces_are_asked_for_by_pairs(self):
        assert parsed("紅茶好") == [((Term("紅茶"), Term("茶好")),)]
        assert parsed("茶") == [((Term("茶", is_beginning=True),),)]

    @given(WRITTEN)
    def test_anything_can_be_read(self, text):
        for item in parsed(text):
            if isinstance(item, tuple):
                assert item
                assert all(item)


class TestFinding:
    @pytest.mark.parametrize(("text", "asked"), FOUND)
    def test_is_found(self, text, asked):
        assert is_found(asked, text)

    @pytest.mark.parametrize(("text", "asked"), NOT_FOUND)
    def test_is_not_found(self, text, asked):
        assert not is_found(asked, text)

    @given(WRITTEN, st.data())
    def test_a_text_is_found_by_every_beginning_of_its_words(self, text, data):
        words = [text[start:stop] for start, stop in stemming.folding.words(text) if stemming.forms(text[start:stop])]
        if words:
            word = stemming.folding.folded(data.draw(st.sampled_from(words)))
            if word.isalpha() and not stemming.folding.IS_CJK.search(word):
                beginning = word[: data.draw(st.integers(min(3, len(word)), len(word)))]
                assert is_found(beginning, text) or not stemming.forms(beginning) or len(parsed(beginning)) != 1

    @given(
        PHONE_DIGITS,
        st.sampled_from(["8", "+7 ", "7", ""]),
        st.sampled_from(["8 ", "+7", ""]),
        st.sampled_from(["-", " ", ") ", ""]),
    )
    def test_a_telephone_number_is_found_in_any_spelling(self, national, one, other, sign):
        first, second = (
            f"{prefix}{national[:3]}{sign}{national[3:6]}{joint}{national[6:8]}{joint}{national[8:]}"
            for prefix, joint in ((one, sign), (other, "–"))
        )
        assert is_found(first, f"Звоните {second}, жду")
        assert is_found(second, f"{first} после пяти")

    @given(st.text("红茶绿咖啡买", min_size=1, max_size=12), st.data())
    def test_a_chinese_text_is_found_by_every_part_of_it(self, text, data):
        start = data.draw(st.integers(0, len(text) - 1))
        stop = data.draw(st.integers(start + 1, len(text)))
        assert is_found(text[start:stop], text)


class TestMarking:
    sought = marks(parsed("возврат return"))

    def test_every_form_of_a_word_is_marked(self):
        pieces = search.marked("О возвратах: returned.", self.sought)
        assert pieces == [("О ", False), ("возвратах", True), (": ", False), ("returned", True), (".", False)]

    @pytest.mark.parametrize(
        ("asked", "text", "hits"),
        [
            ("muller", "Herr Müller, Mu\u0308ller", ["Müller", "Mu\u0308ller"]),
            ("район", "раи\u0306он", ["раи\u0306он"]),
            ("89123456789", "звоните +7 (912) 345-67-89 в 9", ["7 (912) 345-67-89"]),
            ("89123456789", "или 12 8 912 345 67 89 500", ["8 912 345 67 89"]),
            ("8 912 345-67-89", "7 и 8, 89123456789", ["89123456789"]),
            ("红茶", "我想买红茶，红茶红茶", ["红茶", "红茶", "红茶"]),
            ("红茶绿", "红茶绿", ["红茶绿"]),
            ("茶", "红茶好", ["茶"]),
            ("lexus toyota", "lexus15@mail.example", ["lexus"]),
            ("lex", "lexus15@mail.example", ["lexus15"]),
            ("sam", "Samovar and sample", ["Samovar", "sample"]),
            ("the", "the the", []),
            ("", "anything", []),
        ],
    )
    def test_what_matched_is_marked(self, asked, text, hits):
        assert marked(asked, text) == hits

    @given(WRITTEN, WRITTEN)
    def test_pieces_are_the_whole_text(self, asked, text):
        assert "".join(piece for piece, _ in search.marked(text, marks(parsed(asked)))) == text
        assert "".join(piece for piece, _ in search.marked(text, marks(parsed(text)))) == text

    def test_an_excerpt_is_short_and_holds_the_hit(self):
        text = "слово " * 500 + "о возврате\n\nденег " + "слово " * 500
        pieces = search.excerpt(text, self.sought)
        line = "".join(piece for piece, _ in pieces)
        assert ("возврате", True) in pieces
        assert line.startswith("…слово")
        assert line.endswith("слово…")
        assert len(line) <= search.LONGEST_EXCERPT + 2
        assert "о возврате денег" in line

    def test_an_excerpt_of_one_endless_word_ends_too(self):
        assert len("".join(piece for piece, _ in search.excerpt("ы" * 4000, self.sought))) <= search.LONGEST_EXCERPT + 2

    def test_a_short_text_is_its_own_excerpt(self):
        assert search.excerpt("Нет", self.sought) == [("Нет", False)]
        assert search.excerpt("", self.sought) == []
