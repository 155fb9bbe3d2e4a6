"""What the search takes for the same word, number or pair of characters, without a database (C7)."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webim_offline.foundation.database import folding, stemming

WRITTEN = st.text(
    st.one_of(
        st.characters(codec="utf-8", exclude_characters="\x00"),
        st.sampled_from("йЙёЁии\u0306е\u0308ÀÖßẞøŁIİıσςΣάΐ紅茶한がハ019 -–()+.\u00ad\u200b\u0301\u0345@/:"),
    ),
    max_size=60,
)
PHONE_DIGITS = st.text("0123456789", min_size=10, max_size=10)


def found_by(text: str) -> set[str]:
    return set(stemming.distinct(text).split())


class TestFolding:
    @pytest.mark.parametrize(
        ("written", "folded"),
        [
            ("Müller", "muller"),
            ("Straße", "strasse"),
            ("STRASSE", "strasse"),
            ("GROẞ", "gross"),
            ("zoe\u0308", "zoe"),
            ("Zoë", "zoe"),
            ("Łódź", "lodz"),
            ("Đặng Phở", "dang pho"),
            ("Ærø", "aero"),
            ("İstanbul", "istanbul"),
            ("Ώρα", "ωρα"),
            ("ὁδός", "οδοσ"),
            ("ёлка", "елка"),
            ("Е\u0308лка", "елка"),
            ("раи\u0306он", "район"),
            ("РАЙОН", "район"),
            ("за\u0301мок", "замок"),
            ("Їжак", "їжак"),
            ("воз\u00adврат", "возврат"),
            ("воз\u200bврат", "возврат"),
            ("हिन्दी", "हिन्दी"),
            ("가", "가"),
            ("", ""),
        ],
    )
    def test_a_word_has_one_form_however_it_is_written(self, written, folded):
        assert folding.folded(written) == folded

    def test_й_is_no_и(self):
        assert folding.folded("мой") != folding.folded("мои")

    @given(WRITTEN)
    def test_folding_again_and_composing_change_nothing(self, text):
        once = folding.folded(text)
        assert folding.folded(once) == once
        assert folding.folded(unicodedata.normalize("NFD", text)) == once

    @given(st.text("абвгдежзийклмнопрстуфхцчшщъыьэюяёabcdefghijklmnopqrstuvwxyzäöüßéñçøłαβγδεζηθικλμνξοπρστυφχψωάέήίόύώ"))
    def test_capitals_are_no_other_letters(self, text):
        assert folding.folded(text.upper()) == folding.folded(text)


class TestCutting:
    @given(WRITTEN)
    def test_every_letter_and_digit_is_in_exactly_one_word(self, text):
        spans = list(folding.words(text))
        assert spans == sorted(spans)
        places = [place for start, stop in spans for place in range(start, stop)]
        assert len(places) == len(set(places))
        assert {place for place, sign in enumerate(text) if sign.isalnum()} <= set(places)

    def test_signs_make_no_words(self):
        assert list(folding.words("😀 ☂ ??? !!! — « » № _ ...")) == []

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("iPhone手机壳 в наличии", ["iPhone", "手机壳", "в", "наличии"]),
            ("紅茶，好喝", ["紅茶", "好喝"]),
            ("हिन्दी_में", ["हिन्दी", "में"]),
            ("It's AB-1234", ["It", "s", "AB", "1234"]),
        ],
    )
    def test_words(self, text, words):
        assert [text[start:stop] for start, stop in folding.words(text)] == words

    @pytest.mark.parametrize(
        ("run", "pairs"), [("茶", ["茶"]), ("紅茶", ["紅茶", "茶"]), ("ありがと", ["あり", "りが", "がと", "と"])]
    )
    def test_each_character_of_a_run_begins_a_pair(self, run, pairs):
        assert folding.pairs(run) == pairs

    @pytest.mark.parametrize(
        "text",
        [
            "+7 (912) 345-67-89",
            "8 912 345 67 89",
            "89123456789",
            "9123456789",
            "8(912)345–67–89",
            "+7\u00a0912\u00a0345\u00a067\u00a089",
            "7.912.345.67.89",
            "8 - 912 - 345 - 67 - 89",
            "звоните: 8 912 345 67 89 500 рублей",
            "12 8 912 345 67 89",
            "89123456789 и 89990000000",
        ],
    )
    def test_a_telephone_number_inside_a_text_is_found_by_its_last_ten_digits(self, text):
        assert "9123456789" in found_by(text)

    @pytest.mark.parametrize("text", ["8 912 345\n67 89", "8, 912, 345, 67, 89", "12345", "1 2 3 4 5 6 7 8 9 0 " * 200])
    def test_other_numbers_are_none(self, text):
        assert "9123456789" not in found_by(text)

    @given(
        PHONE_DIGITS,
        st.sampled_from(["8", "+7", "7", ""]),
        st.lists(st.sampled_from([" ", "-", "–", "(", ") ", "\u00a0", ""]), min_size=10),
    )
    def test_in_any_spelling(self, national, prefix, signs):
        written = prefix + "".join(sign + digit for sign, digit in zip(signs, national, strict=False))
        assert national in found_by(f"Мой номер {written}, жду")

    @given(
        st.lists(st.text("0123456789", min_size=1, max_size=5), min_size=2, max_size=6),
        st.sampled_from([" ", "-", " (", ") ", "\u202f"]),
    )
    def test_a_number_in_groups_is_found_as_written_and_joined(self, groups, sign):
        assert {*groups, "".join(groups)} <= found_by(sign.join(groups))

    @pytest.mark.parametrize(
        ("text", "parts"),
        [
            ("lexus15@mail.example", {"lexus15", "lexus", "15", "mail"}),
            ("Пишите: olga.1987petrova@mail.example!", {"olga", "1987", "petrova"}),
            ("https://shop.example/items/dragon7?page=2", {"shop", "dragon7", "dragon", "7", "2"}),
            ("Иван2000@почта.рф", {"иван2000", "иван", "2000", "почт"}),
        ],
    )
    def test_an_address_is_found_by_its_parts(self, text, parts):
        assert parts <= found_by(text)

    def test_other_words_are_not_cut_at_their_digits(self):
        assert "ab" not in found_by("AB1234")


class TestForms:
    def test_of_a_word_longer_than_any_the_first_characters_are_kept(self):
        assert stemming.distinct("б" * 101 + " the") == "б" * 100

    def test_lists_of_words_hold_each_once(self):
        assert stemming.joined("чайник чайники", stemming.distinct("Чайники чайника order")) == "чайник чайники чайника order"

    @pytest.mark.parametrize(
        ("one", "other"), [("naïve", "naive"), ("cafés", "cafe"), ("résumés", "resume"), ("Müllers", "muller")]
    )
    def test_a_word_with_diacritics_has_the_stem_of_the_one_without(self, one, other):
        assert set(stemming.forms(one)) & set(stemming.forms(other))

    @given(WRITTEN)
    def test_every_entry_stands_in_the_text_and_is_folded(self, text):
        for word, (start, stop) in stemming.entries(text):
            assert 0 <= start < stop <= len(text)
            assert word
            assert not word.isspace()

    @given(WRITTEN)
    def test_a_list_of_words_is_read_as_it_was_written(self, text):
        assert stemming.distinct(text).split(" ") == (stemming.distinct(text).split() or [""])
