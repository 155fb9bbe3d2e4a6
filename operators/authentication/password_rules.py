"""The rules for new passwords, as a validator for the AUTH_PASSWORD_VALIDATORS setting.

A password must be long enough, must not consist of words that are connected with its person or this service, must not be in a
list of passwords from data breaches, and must not be too monotonous. The rules apply when a password is chosen: existing
passwords stay valid until they are changed.
"""

import gzip
import ipaddress
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from operators.models import Operator

SHORTEST, LONGEST = 12, 128
FEWEST_OWN_LETTERS = 8  # letters that must be left of a password when the words that anybody would try are taken out of it
SHORTEST_WORD = 3  # characters; shorter words are not taken out
LIST = Path(__file__).parent / "data" / "breached_passwords.txt.gz"
OF_THE_PRODUCT = (
    *("webim", "offline", "online", "chat", "livechat", "operator", "supervisor", "support", "admin", "administrator"),
    *("workspace", "password", "passwort", "welcome", "login", "demo", "helpdesk"),
    *("оператор", "супервизор", "поддержка", "админ", "администратор", "чат", "онлайн", "офлайн", "оффлайн", "пароль", "вебим"),
)
# Digits and signs that people write instead of letters. "1", "!" and "|" can mean "i" or "l", so there are two tables.
LEET = str.maketrans("0134578@$!|+", "oieastbasiit")
LEET_L = LEET | str.maketrans("1!|", "lll")
# Russian words typed while the keyboard was switched to Latin letters
RUSSIAN_KEYS = str.maketrans("qwertyuiop[]asdfghjkl;'zxcvbnm,.`", "йцукенгшщзхъфывапролджэячсмитьбюё")
DEMO = re.compile(r"[\w.@+-]+-demo", re.IGNORECASE)


class PasswordRules:
    """The validator of all rules. It reports the first rule that a password breaks, not all of them."""

    def validate(self, password: str, user: Operator | None = None) -> None:
        """Raise ValidationError with a message that says what to do. `user` is whose password it is; it may be unsaved."""
        if len(password) > LONGEST:
            raise ValidationError(_("A password has at most %(most)s characters.") % {"most": LONGEST}, code="long")
        if DEMO.fullmatch(password):
            raise ValidationError(_("Demo logins have such passwords: everybody would try it. Choose another one."), code="demo")
        if len(password) < SHORTEST:
            raise ValidationError(_("A password has at least %(least)s characters.") % {"least": SHORTEST}, code="short")
        readings = _readings(password)
        if any(_is_made_of(words_of(user), reading) for reading in readings):
            raise ValidationError(
                _(
                    "This password is little more than the login, name or email of its person, the name of the account or"
                    " words of this service. Choose words that nobody connects with them."
                ),
                code="known_words",
            )
        if any(_is_breached(reading) for reading in readings):
            raise ValidationError(
                _(
                    "Lists of stolen passwords have this one, perhaps with other digits and signs around it. Choose another"
                    " one, for example four words of your own."
                ),
                code="breached",
            )
        if _says_little(readings[0]):
            raise ValidationError(
                _("This password is a number, or repeats a few characters. Choose another one."), code="monotonous"
            )

    def get_help_text(self) -> str:
        return _(
            "At least %(least)s characters, for example four words of your own. Not a login, a name or an email address,"
            " nor the name of the account, and none that stands on lists of stolen passwords."
        ) % {"least": SHORTEST}


def words_of(user: Operator | None) -> set[str]:
    """Return the words, in lower case, that somebody who knows the person or this installation would try first."""
    told = list(OF_THE_PRODUCT)
    if user is not None:
        told += [user.username, user.name, user.email]
        if user.account is not None:
            told += [user.account.name, user.account.slug]
    try:
        ipaddress.ip_address(settings.PUBLIC_HOST)
    except ValueError:
        told.append(settings.PUBLIC_HOST)
    return {word for text in told for word in _words_in(text) if len(word) >= SHORTEST_WORD}


def _words_in(text: str) -> Iterator[str]:
    """Yield each word of a text, each word without digits around it, and all words joined into one."""
    words = re.findall(r"[^\W_]+", _plain(text))
    yield from words
    yield "".join(words)
    for word in words:  # of "anna71" also "anna"
        yield word.strip("0123456789")


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _readings(password: str) -> list[str]:
    """Return everything that a password may be read as. The first reading is the password itself in lower case."""
    plain = _plain(password)
    return [plain, plain.translate(LEET), plain.translate(LEET_L), plain.translate(RUSSIAN_KEYS)]


def _is_made_of(words: set[str], reading: str) -> bool:
    """Return whether `reading` holds some of the words, and fewer than FEWEST_OWN_LETTERS letters beside them."""
    found = re.compile("|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)))
    rest, count = found.subn(" ", reading)
    return bool(count) and sum(character.isalpha() for character in rest) < FEWEST_OWN_LETTERS


def _is_breached(reading: str) -> bool:
    """Return whether `reading` is on the list of breached passwords.

    It is also looked up without the digits and signs around and between its letters, and, if it repeats something, as one
    repetition of it.
    """
    unit = _unit(reading)
    around = re.compile(r"^[\W\d_]+|[\W\d_]+$")
    letters = "".join(character for character in reading if character.isalpha())
    return not breached().isdisjoint({reading, unit, around.sub("", reading), around.sub("", unit), letters, _unit(letters)})


def _unit(text: str) -> str:
    """Return the shortest text that `text` is a repetition of: "abc" for "abcabc", and `text` itself if it repeats nothing."""
    length = (text + text).find(text, 1)
    return text[:length] if length > 0 else text


def _says_little(reading: str) -> bool:
    """Return whether `reading` is only a number, repeats something short, or has few different characters."""
    return re.sub(r"[\W_]+", "", reading).isdigit() or len(_unit(reading)) < SHORTEST / 2 or len(set(reading)) < SHORTEST / 3


@cache
def breached() -> frozenset[str]:
    """Return the list of breached passwords, some 90,000. It is read when the first password is chosen in a process."""
    return frozenset(gzip.decompress(LIST.read_bytes()).decode().split("\n"))
