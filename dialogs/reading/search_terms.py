"""What a search asks for, before any database is asked (C7): words, numbers in any spelling, and pairs of characters.

Every item of a search must be in a dialog. An item is found by any one of its alternatives, and an alternative by all of its terms.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from webim_offline.foundation.database import folding, stemming

SHORTEST_BEGINNING = 3  # characters of a last word that is also looked up as the beginning of a longer one
SHORTEST_PHONE = 7  # digits of the beginning of a telephone number by which it is found in the other spelling, with 8 or +7
SHORTEST_MARKED = 3  # digits of a group that is marked alone, outside of its number
WHOLE_NUMBER = re.compile(rf"(?<![^\W_]){folding.NUMBER.pattern}(?![^\W_])")


@dataclass(frozen=True)
class Term:
    """A word as the index holds it, or only the beginning of one."""

    word: str
    is_beginning: bool = False


Alternative = tuple[Term, ...]
Wanted = tuple[Alternative, ...]


@dataclass(frozen=True)
class Word:
    """A word that the database must bring to the form in which it is indexed."""

    text: str
    is_last: bool = False

    @property
    def is_beginning(self) -> bool:
        return self.is_last and len(folding.folded(self.text)) >= SHORTEST_BEGINNING

    def wanted(self, stems: Iterable[str], wholes: Iterable[str]) -> Wanted:
        """Return how the word is found: by its stem or by itself, in the forms of the database. A stop word is not looked up."""
        stemmed, whole = (tuple(Term(form) for form in forms) for forms in (stems, wholes))
        if self.is_beginning and len(whole) == 1:
            whole = (Term(whole[0].word, is_beginning=True),)
        return tuple(dict.fromkeys(alternative for alternative in (stemmed, whole) if alternative)) if stemmed else ()


def parsed(text: str) -> list[Word | Wanted]:
    """Return the items of a search in their order. There are none if the search has neither a word nor a number."""
    whole = unicodedata.normalize("NFC", text)
    numbers = [run.span() for run in WHOLE_NUMBER.finditer(whole)]
    others = [span for span in folding.words(whole) if not any(start <= span[0] < stop for start, stop in numbers)]
    spans = sorted([*numbers, *others])
    items: list[Word | Wanted] = []
    for span in spans:
        said, is_last = whole[slice(*span)], span == spans[-1]
        if span in numbers:
            items += _numbers(said, is_last=is_last)
        elif folding.IS_CJK.match(said):
            items.append((_pairs(said),))
        else:
            items.append(Word(said, is_last))
    return list(dict.fromkeys(items))


def _numbers(run: str, *, is_last: bool) -> Iterator[Wanted]:
    """Yield the numbers of a run of digits: it is one number, unless one of its groups alone is a whole telephone number."""
    groups = folding.DIGITS.findall(run)
    if len(groups) > 1 and any(len(group) > folding.NATIONAL for group in groups):
        for place, group in enumerate(groups, start=1):
            yield _number([group], is_last=is_last and place == len(groups))
    else:
        yield _number(groups, is_last=is_last)


def _number(groups: list[str], *, is_last: bool) -> Wanted:
    """Return how a number is found: as it is written, with its digits joined, and a telephone number by its last ten digits."""
    digits = "".join(groups)
    *before, last = groups
    alternatives: list[Alternative] = [(*map(Term, before), Term(last, is_last and len(last) >= SHORTEST_BEGINNING))]
    if len(groups) > 1 and len(digits) <= folding.LONGEST_NUMBER:
        alternatives.append((Term(digits, is_last and len(digits) >= SHORTEST_BEGINNING),))
    if folding.NATIONAL < len(digits) <= folding.LONGEST_PHONE:
        alternatives.append((Term(digits[-folding.NATIONAL :]),))
    if is_last and SHORTEST_PHONE <= len(digits) <= folding.NATIONAL and digits[0] in "78":
        alternatives.append((Term(digits[1:], is_beginning=True),))
    return tuple(dict.fromkeys(alternatives))


def _pairs(run: str) -> Alternative:
    """Return the pairs of a run of Chinese, Japanese or Korean characters. One alone is looked up as the beginning of a pair."""
    if len(run) == 1:
        return (Term(run, is_beginning=True),)
    return tuple(map(Term, folding.pairs(run)[:-1]))


@dataclass(frozen=True)
class Marks:
    """What is marked in a text that was found."""

    words: frozenset[str] = frozenset()
    beginnings: tuple[str, ...] = ()

    def spans(self, text: str) -> Iterator[folding.Span]:
        """Yield where the text has what was searched for, in order and without overlaps."""
        begun, ended = 0, 0
        for start, stop in sorted(filter(None, (self._span(*entry) for entry in stemming.entries(text)))):
            if start >= ended:
                if ended:
                    yield begun, ended
                begun = start
            ended = max(ended, stop)
        if ended:
            yield begun, ended

    def has(self, word: str) -> bool:
        """Return whether a word, as it is indexed, was searched for."""
        return word in self.words or word.startswith(self.beginnings)

    def _span(self, word: str, span: folding.Span) -> folding.Span | None:
        if word in self.words:
            return span
        if not word.startswith(self.beginnings):
            return None
        # of a pair only the character that was asked for
        return (span[0], span[0] + 1) if folding.IS_CJK.match(word) else span


def marks(items: Iterable[Word | Wanted]) -> Marks:
    """Return what to mark for the items of a search, by our own stemmer, whatever the database's."""
    terms = [term for item in items for term in _marked_terms(item)]
    return Marks(
        frozenset(term.word for term in terms if not term.is_beginning),
        tuple(dict.fromkeys(term.word for term in terms if term.is_beginning)),
    )


def _marked_terms(item: Word | Wanted) -> Iterator[Term]:
    """Yield the terms of an item that are marked: of a number in groups not each short group, for these are everywhere."""
    if isinstance(item, Word):
        forms = stemming.forms(item.text)
        item = item.wanted(forms[:1], forms[-1:])
    for alternative in item:
        for term in alternative:
            if len(alternative) == 1 or not folding.DIGITS.fullmatch(term.word) or len(term.word) >= SHORTEST_MARKED:
                yield term
