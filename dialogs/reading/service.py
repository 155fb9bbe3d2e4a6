"""The service a visitor turns to: a department and a language that exist, and who could answer there (A5, S1, S3)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from operators.availability import Candidate, anyone_online, candidates, candidates_of, judged_at
from operators.models import Account, Department, Language
from operators.routes import Route
from webim_offline.foundation.database.clock import moment_of
from webim_offline.foundation.database.dialect import Statement, dialect
from webim_offline.foundation.database.loading import columns_of, instance_of
from webim_offline.foundation.database.statements import Rows, run_together


@dataclass(frozen=True, slots=True)
class Service:
    """A department (None: none) and a language of an account, and the operators who could answer there.

    `now` is the moment of asking. Leases of workspaces are judged by `judged_at`: that moment, or an earlier one in an
    outage (P9). `candidates` are at most 20 of the `in_all` operators; `lease` is the account's `operator_lease` in seconds.
    """

    department: Department | None
    language: Language
    candidates: list[Candidate]
    in_all: int
    lease: int
    now: datetime
    judged_at: datetime

    @property
    def route(self) -> Route:
        return (self.department.pk if self.department else None, self.language.pk)

    @property
    def is_online(self) -> bool:
        """S1: at least one of the operators is effectively online."""
        return anyone_online(self.candidates, lease=self.lease, now=self.judged_at)

    def evidence(self) -> dict[str, Any]:
        """S3: who could have answered, their status and last sign of life, and when that was asked."""
        return {
            "at": self.now.isoformat(),
            **({"judged_at": self.judged_at.isoformat()} if self.judged_at != self.now else {}),
            "department": self.department.name if self.department else None,
            "language": self.language.code,
            "lease": self.lease,
            "in_all": self.in_all,
            "candidates": [
                {
                    "id": candidate.operator_id,
                    "name": candidate.name,
                    "status": candidate.status,
                    "seen": candidate.last_seen_at.isoformat() if candidate.last_seen_at else None,
                }
                for candidate in self.candidates
            ],
        }


def find_service(account: Account, department: str, languages: Iterable[str]) -> Service:
    """The service that is meant by the slug of a department and by tags of languages, the preferred one first (A5).

    An unknown or archived department becomes none; where no language is known, it is the account's first. Two statements, in one
    message. Raises Language.DoesNotExist for an account without a language.
    """
    question = ServiceQuestion.of(account.pk, department, languages)
    return question.answer(account, *run_together(*question.statements()))


MOST_REMEMBERED = 1000
_routes: dict[tuple[int, str, tuple[str, ...]], Route] = {}  # where the questions of this process led when they were last asked


@dataclass(frozen=True, slots=True)
class ServiceQuestion:
    """What `find_service` asks, as two statements that can be sent with others.

    The second one needs the route that the first one finds. It is asked for the route that the same question led to last time
    (`guess`), and only where that is wrong now, once more.
    """

    account_id: int
    department: str
    languages: tuple[str, ...]
    guess: Route

    @classmethod
    def of(cls, account_id: int, department: str, languages: Iterable[str]) -> "ServiceQuestion":
        """The question; the arguments are those of `find_service`."""
        asked = (account_id, department, tuple(tag for tag in languages if tag))
        return cls(*asked, guess=_routes.get(asked, (None, 0)))

    def statements(self) -> tuple[Statement, Statement]:
        """The account's languages with the department, and the candidates."""
        now, moment = dialect().now()
        languages = f"""
            SELECT {columns_of(Language, "language")}, department.id, department.name, {now} FROM operators_language AS language
            LEFT JOIN operators_department AS department ON department.account_id = language.account_id
                AND department.slug = %s AND department.archived_at IS NULL
            WHERE language.account_id = %s AND language.archived_at IS NULL
            ORDER BY language.position, language.id
        """  # noqa: S608
        return (languages, [*moment, self.department, self.account_id]), candidates_of(self.account_id, self.guess)

    def answer(self, account: Account, known: Rows, people: Rows) -> Service:
        """The service, by the rows of the two statements."""
        if not known:
            raise Language.DoesNotExist(f"account {account.slug} has no language")
        *_, department_id, department_name, at = known[0]
        rows = [instance_of(Language, values) for values in known]
        by_code = {row.code: row for row in rows}
        language = next((by_code[code] for code in _codes(self.languages) if code in by_code), rows[0])
        route = (department_id, language.pk)
        if route != self.guess:
            if len(_routes) >= MOST_REMEMBERED:
                _routes.clear()
            _routes[self.account_id, self.department, self.languages] = route
            (people,) = run_together(candidates_of(self.account_id, route))
        department = None if department_id is None else Department(pk=department_id, account=account, name=department_name)
        found, in_all, heard_at = candidates(people)
        now = moment_of(at)
        return Service(department, language, found, in_all, account.operator_lease, now, judged_at(now, heard_at))


def _codes(tags: Iterable[str]) -> Iterable[str]:
    """The codes that a tag such as `ru-RU` can mean: as it is written, and the language alone."""
    for tag in tags:
        yield tag
        yield tag.replace("_", "-").split("-")[0].lower()
