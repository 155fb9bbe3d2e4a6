"""Which passwords may be chosen: long enough, nobody's name, and none that stood in a breach (settings.AUTH_PASSWORD_VALIDATORS).

Passwords from before stay valid until they are changed.
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
FEWEST_OWN_LETTERS = 8  # of a password that holds a word anybody would try, beside those words
SHORTEST_WORD = 3
LIST = Path(__file__).parent / "data" / "breached_passwords.txt.gz"
OF_THE_PRODUCT = (
    *("webim", "offline", "online", "chat", "livechat", "operator", "supervisor", "support", "admin", "administrator"),
    *("workspace", "password", "passwort", "welcome", "login", "demo", "helpdesk"),
    *("оператор", "супервизор", "поддержка", "админ", "администратор", "чат", "онлайн", "офлайн", "оффлайн", "пароль", "вебим"),
)
# how people write letters by digits and signs; "1" and "!" are read in two ways
LEET = str.maketrans("0134578@$!|+", "oieastbasiit")
LEET_L = LEET | str.maketrans("1!|", "lll")
# Russian words typed on the Latin half of the keys
RUSSIAN_KEYS = str.maketrans("qwertyuiop[]asdfghjkl;'zxcvbnm,.`", "йцукенгшщзхъфывапролджэячсмитьбюё")
DEMO = re.compile(r"[\w.@+-]+-demo", re.IGNORECASE)


class PasswordRules:
    """One validator for all of it: the first reason is said, and a password beyond the longest is not looked at any further."""

    def validate(self, password: str, user: Operator | None = None) -> None:
        """Raise a ValidationError that says what to do. `user`, with its account, may be unsaved."""
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
    """What somebody who knows the person or the installation would try first, in small letters."""
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
    """Each word of a text, and all of them as one."""
    words = re.findall(r"[^\W_]+", _plain(text))
    yield from words
    yield "".join(words)
    for word in words:  # anna71: the name without its number
        yield word.strip("0123456789")


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _readings(password: str) -> list[str]:
    """What a password may be read as; the first is itself in small letters."""
    plain = _plain(password)
    return [plain, plain.translate(LEET), plain.translate(LEET_L), plain.translate(RUSSIAN_KEYS)]


def _is_made_of(words: set[str], reading: str) -> bool:
    """Are few letters left when the words are taken out?"""
    found = re.compile("|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)))
    rest, count = found.subn(" ", reading)
    return bool(count) and sum(character.isalpha() for character in rest) < FEWEST_OWN_LETTERS


def _is_breached(reading: str) -> bool:
    """Is the reading on the list, as it is, without digits and signs around or between, or as the same thing several times?"""
    unit = _unit(reading)
    around = re.compile(r"^[\W\d_]+|[\W\d_]+$")
    letters = "".join(character for character in reading if character.isalpha())
    return not breached().isdisjoint({reading, unit, around.sub("", reading), around.sub("", unit), letters, _unit(letters)})


def _unit(text: str) -> str:
    """What a text repeats from its beginning to its end; the text itself if it repeats nothing."""
    length = (text + text).find(text, 1)
    return text[:length] if length > 0 else text


def _says_little(reading: str) -> bool:
    return re.sub(r"[\W_]+", "", reading).isdigit() or len(_unit(reading)) < SHORTEST / 2 or len(set(reading)) < SHORTEST / 3


@cache
def breached() -> frozenset[str]:
    """The passwords of the list, some 90,000; read when the first password is chosen in a process."""
    return frozenset(gzip.decompress(LIST.read_bytes()).decode().split("\n"))
