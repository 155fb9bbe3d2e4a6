"""What people type, as it is stored, judged and cut (C1 to C3), and telephone numbers (C5). Without a database."""

import subprocess
import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from wcwidth import iter_graphemes

from webim_offline.foundation import text
from webim_offline.foundation.phones import is_phone

ROOT = Path(__file__).resolve().parent.parent
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
WALES = "\U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f"
NEWER = "\U0001fae9"  # a face with bags under its eyes: of Unicode 16, which Python's tables do not know
PIECES = st.sampled_from(
    [
        *(
            "a",
            "я",
            " ",
            "\n",
            "\t",
            "\r",
            "\r\n",
            "\x00",
            "\x07",
            "\x85",
            "\ud800",
            "\udfff",
            "e\u0301",
            "и\u0306",
            "\u0301",
            "\u0323",
        ),
        *(
            FAMILY,
            WALES,
            NEWER,
            "\U0001f1f7\U0001f1fa",
            "\U0001f1e9",
            "\U0001f44d\U0001f3fd",
            "❤\ufe0f",
            "1\ufe0f\u20e3",
            "\u200d",
            "\u200c",
        ),
        *(
            "\u1112\u1161\u11ab",
            "한",
            "क्षि",
            "\u202e",
            "\u2067",
            "\u2069",
            "\u200f",
            "\u3164",
            "\u2800",
            "\u115f",
            "\ufeff",
            "\u00a0",
        ),
    ]
)
TEXTS = st.lists(PIECES | st.characters(), max_size=40).map("".join)


class TestCleaned:
    @pytest.mark.parametrize(
        ("typed", "stored"),
        [
            ("a\x00b", "ab"),
            ("a\ud800b\udc00", "ab"),
            ("\x1b[31mred\x7f\x9c", "[31mred"),
            ("one\r\ntwo\rthree\n\tfour", "one\ntwo\nthree\n\tfour"),
            ("\r\x00\n", "\n"),
            ("e\u0301 и\u0306 \u212b", "é й Å"),
            ("e\x00\u0301", "é"),
            ("علی\u200cرضا", "علی\u200cرضا"),
            (FAMILY, FAMILY),
            (f"Bo {NEWER}", f"Bo {NEWER}"),
            ("❤\ufe0f \U0001f44d\U0001f3fd", "❤\ufe0f \U0001f44d\U0001f3fd"),
            ("\u202eright\u202c \u2067to\u2069 left", "\u202eright\u202c \u2067to\u2069 left"),
            ("  two  spaces", "  two  spaces"),
            ("\ufffe\U000e0fff\U0010ffff", "\ufffe\U000e0fff\U0010ffff"),
        ],
    )
    def test_a_message(self, typed, stored):
        assert text.cleaned(typed) == stored

    @pytest.mark.parametrize(
        ("typed", "stored"),
        [
            (" Marina \r\n\t Lebedeva\u00a0", "Marina Lebedeva"),
            ("علی\u200cرضا", "علی\u200cرضا"),
            (f"Ann {FAMILY}", f"Ann {FAMILY}"),
            (f"Bo {NEWER}", f"Bo {NEWER}"),
            ("क्\u200dष", "क्\u200dष"),
            ("\u202egnp.exe", "gnp.exe"),
            ("\u2066a\u2069\u202ab\u202c", "ab"),
            ("e\u202e\u0301", "é"),
            ("שלום\u200f!", "שלום\u200f!"),
            ("a\u2028b\u2029c", "a b c"),
            ("\u3164", ""),
            (" \u200b\u2800 ", ""),
            ("\u202e", ""),
            ("\x00", ""),
        ],
    )
    def test_a_line(self, typed, stored):
        assert text.cleaned_line(typed) == stored

    @given(typed=TEXTS)
    @example(typed="\r\x00\n")
    @example(typed="e\u202e\u0301")
    def test_of_everything(self, typed):
        for clean in (text.cleaned, text.cleaned_line, text.message):
            stored = clean(typed)
            assert clean(stored) == stored
            assert unicodedata.is_normalized("NFC", stored)
            assert not [sign for sign in stored if unicodedata.category(sign) in {"Cc", "Cs"} and sign not in "\n\t"]
            stored.encode()
        assert not set(text.cleaned_line(typed)) & set("\n\t\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

    @given(typed=st.text(st.characters(exclude_categories=["Cc", "Cs"])))
    def test_nothing_else_is_lost(self, typed):
        assert text.cleaned(typed) == unicodedata.normalize("NFC", typed)

    @given(marks=st.text(st.sampled_from("a\u0301\u0323\u0327\u0345\u1161한\u0f71\u0f72\u05b0\u0958"), max_size=60))
    def test_a_long_text_is_composed_like_a_short_one(self, marks):
        long = "x" * text.SHORT + marks
        assert text.composed(long) == unicodedata.normalize("NFC", long)

    def test_a_text_of_marks_takes_no_time(self):
        began = time.process_time()
        text.cleaned_line("a" + "\u0301" * 60_000 + "\u0323" * 60_000)
        assert time.process_time() - began < 2.0, "sorting these marks one by one takes a minute"


class TestBlank:
    @pytest.mark.parametrize(
        "typed",
        [
            *(
                "",
                " ",
                "\n\t ",
                "\u00a0\u3000\u2003",
                "\u200b\u2060\ufeff",
                "\u00ad",
                "\u200d\u200c",
                "\ufe0f",
                "\U000e0041\U000e0fff",
            ),
            *(
                "\u3164",
                "\u2800",
                "\u115f",
                "\u1160",
                "\uffa0",
                "\u17b4",
                "\u180e",
                "\u034f",
                "\u2800 \u3164\n",
                "\x00",
                "\u202e\u2069",
            ),
        ],
    )
    def test_nothing_is_seen(self, typed):
        assert text.is_blank(typed)
        assert text.message(typed) == text.cleaned_line(typed) == ""

    @pytest.mark.parametrize(
        "typed", ["a", ".", "\u3164.", FAMILY, NEWER, WALES, "❤\ufe0f", "\u0301", "\ufffd", "\U0001f1f7", "\u2801", "1"]
    )
    def test_something_is_seen(self, typed):
        assert not text.is_blank(typed)
        assert text.message(typed) == text.cleaned_line(typed) == typed

    @pytest.mark.parametrize(
        ("typed", "stored"),
        [
            ("  if x:\n      go()  \n\n", "  if x:\n      go()"),
            ("\r\n \r\n  indented\r\nand not", "  indented\nand not"),
            ("  a line  by itself ", "a line  by itself"),
            ("a  b\n\n\nc", "a  b\n\n\nc"),
            ("\t- one\n\t- two", "\t- one\n\t- two"),
        ],
    )
    def test_indentation_and_repeated_spaces_stay(self, typed, stored):
        assert text.message(typed) == stored

    def test_much_of_nothing_takes_no_time(self):
        began = time.process_time()
        assert text.message("\n " * 60_000) == text.message(" " * 120_000) == ""
        assert text.message(" " * 120_000 + "a") == "a"
        assert time.process_time() - began < 2.0


class TestCutting:
    @pytest.mark.parametrize(
        ("whole", "longest", "kept"),
        [
            (f"Hi {FAMILY}!", 5, "Hi "),
            (f"Hi {FAMILY}!", 8, f"Hi {FAMILY}"),
            ("ok\U0001f44d\U0001f3fd", 3, "ok"),
            ("❤\ufe0f❤\ufe0f", 3, "❤\ufe0f"),
            ("\U0001f1f7\U0001f1fa\U0001f1e9\U0001f1ea", 3, "\U0001f1f7\U0001f1fa"),
            ("x\u0323\u0301yz", 2, ""),
            ("\u1112\u1161\u11ab\u1100", 2, ""),
            ("\u1112\u1161\u11ab\u1100", 3, "\u1112\u1161\u11ab"),
            ("क्षि", 2, ""),
            ("a\r\nb", 2, "a"),
            (f"{WALES}a", 6, ""),
            (f"a{NEWER}\u200d{NEWER}", 3, "a"),
            ("plain text", 5, "plain"),
            ("a\u06001\u0301b", 3, "a"),
            ("\u0903\u06001\u0301", 3, "\u0903"),
            ("short", 5, "short"),
        ],
    )
    def test_between_graphemes_only(self, whole, longest, kept):
        assert text.cut(whole, longest) == kept

    @given(whole=TEXTS, longest=st.integers(0, 60))
    def test_as_much_as_fits_and_never_a_part(self, whole, longest):
        kept = text.cut(whole, longest)
        fitting = ""
        for grapheme in iter_graphemes(whole):
            if len(fitting) + len(grapheme) > longest:
                break
            fitting += grapheme
        assert kept == fitting

    @given(whole=TEXTS, longest=st.integers(1, 60))
    def test_an_ellipsis_says_that_something_is_missing(self, whole, longest):
        shown = text.shortened(whole, longest)
        assert len(shown) <= longest
        assert (shown == whole) is (len(whole) <= longest) or shown.endswith("…")

    @pytest.mark.parametrize(
        ("word", "first"), [(FAMILY, FAMILY), ("e\u0301va", "e\u0301"), ("\U0001f1f7\U0001f1fax", "\U0001f1f7\U0001f1fa"), ("", "")]
    )
    def test_the_first_one(self, word, first):
        assert text.first_grapheme(word) == first

    @given(told=st.text() | TEXTS, longest=st.integers(1, 30))
    def test_what_nobody_is_refused_for_fits(self, told, longest):
        line = text.fitting_line(told, longest)
        assert len(line) <= longest
        assert text.cleaned_line(line) == line


class TestPhones:
    @pytest.mark.parametrize(
        "typed",
        [
            *(
                "+7\u2011999\u2011123\u201145\u201167",
                "8 800 555-35-35 вн. 12",
                "8 800 555 35 35 доб. 12",
                "+1 (555) 010-0199 ext. 7",
            ),
            *(
                "112233",
                "12345",
                "(495) 123\u201445\u201367",
                "+44.20.7946.0000",
                "+49 30/123456",
                "555\u2212010\u22120199 x9",
                "5550100#12",
            ),
            *(
                "[812] 555 01 47",
                "8(812)5550147,доб.3",
                "+7 (495) 123-45-67 (доб. 12)",
                "1" * 20,
                "\u200e+7 912 555-01-47\u00a0",
                "٠١٢٣٤٥",
            ),
        ],
    )
    def test_one(self, typed):
        assert is_phone(typed)

    @pytest.mark.parametrize(
        "typed",
        [
            "",
            "12",
            "1234",
            "call me",
            "+7 912 555-01-47; rm -rf",
            "1" * 21,
            "1" * 30,
            "+",
            "доб. 12345",
            "12345 or 67890",
            "5550100 ext.",
            "a@b.example",
        ],
    )
    def test_none(self, typed):
        assert not is_phone(typed)

    @given(
        digits=st.lists(st.sampled_from("0123456789"), min_size=5, max_size=20),
        between=st.lists(
            st.sampled_from([*" -()[].+\u00a0\u202f", "", *(chr(n) for n in range(0x2010, 0x2016)), "\u2212", "\ufe63"]),
            min_size=20,
            max_size=20,
        ),
    )
    def test_any_digits_among_any_dashes(self, digits, between):
        typed = "".join(digit + sign for digit, sign in zip(digits, between, strict=False))
        assert is_phone(typed)

    def test_a_long_text_takes_no_time(self):
        began = time.process_time()
        for typed in ("1" * 100_000, "1 " * 50_000, " " * 100_000, "1" * 199, "1x" + "1 " * 98 + "y"):
            is_phone(typed)
        assert time.process_time() - began < 1.0


def test_nothing_decides_by_what_python_can_print():
    """`isprintable` knows no character that is newer than Python, and takes joiners for what cannot be seen."""
    machine_words = {
        "dialogs/actions/devices.py": "keys of devices",
        "dialogs/live/tickets.py": "keys of pages, which are ASCII",
        "notifications/outgoing/smtp.py": "words of mail servers",
        "webim_offline/foundation/environment.py": "the environment",
        "webim_offline/foundation/logs/lines.py": "the log",
    }
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    found = {
        name
        for name in listed.stdout.split()
        if name.startswith(("dialogs/", "notifications/", "operators/", "webim_offline/"))
        and "isprintable" in (ROOT / name).read_text()
    }
    assert found <= set(machine_words)
