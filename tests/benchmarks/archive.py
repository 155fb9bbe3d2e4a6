"""How long the archive's search takes over 1,000,000 messages in 200,000 dialogs of several accounts (Q13, decision 0014)."""

import random
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import accumulate
from statistics import median, quantiles

from django.conf import settings
from django.db import connection
from django.test import Client

from dialogs.models import Dialog, Message, Visitor
from operators.models import Operator
from tests import people
from tests.benchmarks.filling import insert_made

DIALOGS, MESSAGES_EACH = 200_000, 5
SHARES = (50, 20, 15, 10, 5)  # of the accounts, per cent
TAIL = 20_000  # rare words of each language
PATH = "/workspace/archive/"
ROUNDS = 4
LIMIT = 200  # ms

# by how often people write them; the first is in nearly every third message
RUSSIAN = """
заказ доставка здравствуйте подскажите пожалуйста спасибо оплата возврат товар деньги размер курьер адрес магазин карта посылка
номер телефон сегодня завтра получить забрать скидка промокод пункт выдача ошибка сайт обмен чек упаковка брак гарантия замена
рассрочка чайник сервиз самовар подарок открытка
"""
ENGLISH = """
order delivery hello please thanks payment refund parcel money size courier address shop card item number phone today tomorrow
receive collect discount voucher point error site exchange receipt package defect warranty replacement instalment kettle teapot
samovar gift postcard
"""
SYLLABLES_RU = "ба ве го ди жу за ки ло му на пе ро са ти фу ха ци че шо ще бра гре сто тру кле сна мор лес"
SYLLABLES_EN = "ba ve go di zu ka lo mu na pe ro sa ti fu ha ci che sho bra gre sto tru cle sna mor les wen dal"
SEASON = "гирлянда"  # long ago everybody asked for it, since then nobody
ASKED = (
    {"q": "заказ"},
    {"q": "orders"},
    {"q": "возврат денег"},
    {"q": "payment refunds"},
    {"q": "Здравствуйте, подскажите, где посылка?"},
    {"q": "самовары"},
    {"q": "postcard"},
    {"q": "Анна открытка"},
    {"q": "гирлянды"},
    {"q": "order заказ"},
    {"q": "visitor{n}@mail.example"},
    {"q": "+7 (9{n:09})"},
    {"q": "#{number}"},
    {"q": "{rare}"},
    {"q": "дос"},
    {"q": "заказ самов"},
    {"q": "{rare} заказ"},
    {"q": "заказ", "operator": "{operator}"},
    {"q": "заказ", "state": "open"},
    {"q": "доставка", "department": "{department}", "start_state": "offline"},
    {"q": "курьер", "since": "{long_ago}", "until": "{later}"},
    {"q": "заказ", "before": "{early}"},
    {"q": "самовар", "before": "{early}"},
    {"since": "{long_ago}", "until": "{later}"},
    {},
    {"before": "{early}"},
)


@dataclass(frozen=True)
class Language:
    """Words from the commonest to the rarest, and the sums of their weights: the n-th is met 1/n times as often."""

    words: list[str]
    sums: list[float]

    def said(self, dice: random.Random) -> str:
        words = dice.choices(self.words, cum_weights=self.sums, k=dice.randint(4, 20))
        if dice.random() < 0.15:
            words.append(self.words[0])
        return " ".join(words)


def language(known: str, syllables: str, dice: random.Random) -> Language:
    made = {"".join(dice.choices(syllables.split(), k=dice.randint(2, 5))) for _ in range(TAIL)}
    tail = sorted(made)
    dice.shuffle(tail)
    words = known.split() + tail
    return Language(words, list(accumulate(1 / (n + 2) for n in range(len(words)))))


def texts(dice: random.Random) -> Iterator[tuple[int, int, str]]:
    """(dialog's place, message's place in it, text) of every message; a Russian and an English dialog in turn."""
    spoken = [language(RUSSIAN, SYLLABLES_RU, dice), language(ENGLISH, SYLLABLES_EN, dice)]
    for n in range(DIALOGS):
        for place in range(MESSAGES_EACH):
            season = f" {SEASON}" if n < DIALOGS // 8 and place == 1 else ""
            yield n, place, spoken[n % 2].said(dice) + season


def fill() -> list[Operator]:
    """The rows; a supervisor of each account, the largest first."""
    accounts = [people.make_account(departments=("support", "sales", "repairs")) for _ in SHARES]
    supervisors = [people.make_operator(account, role="supervisor") for account in accounts]
    given = {
        "accounts": [account.pk for account, share in zip(accounts, SHARES, strict=True) for _ in range(share)],
        "departments": [[d.pk for d in account.departments.order_by("pk")] for account in accounts],
        "languages": [[x.pk for x in account.languages.order_by("code")] for account in accounts],
        "operators": [[people.make_operator(account).pk for _ in range(8)] for account in accounts],
        "count": DIALOGS,
    }
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(id), 0) FROM dialogs_visitor")
        given["base"] = cursor.fetchone()[0]
        cursor.execute("SELECT coalesce(max(id), 0) FROM dialogs_dialog")
        given["before"] = cursor.fetchone()[0]
    insert_made(
        Visitor,
        {
            # a spread that has nothing to do with the time
            "account_id": "(%(accounts)s::bigint[])[n * 37 %% 100 + 1]",
            "token_digest": "md5('archive' || n)",
            "name": "(ARRAY['Анна','Пётр','Marina','John','Ольга','Иван','Kate',''])[n %% 8 + 1] || ' ' || md5(n::text)",
            "email": "'visitor' || n || '@mail.example'",
            "phone": "'+7 9' || lpad(n::text, 9, '0')",
        },
        "generate_series(0, %(count)s - 1) AS n",
        given,
    )
    insert_made(
        Dialog,
        {
            "account_id": "v.account_id",
            "number": "row_number() OVER (PARTITION BY v.account_id ORDER BY n)",
            "visitor_id": "v.id",
            "department_id": "(%(departments)s::bigint[])[array_position(%(places)s::bigint[], v.account_id)][n / 7 %% 3 + 1]",
            "language_id": "(%(languages)s::bigint[])[array_position(%(places)s::bigint[], v.account_id)][2 - n %% 2]",
            "operator_id": "(%(operators)s::bigint[])[array_position(%(places)s::bigint[], v.account_id)][n / 3 %% 8 + 1]",
            "start_state": "CASE WHEN n %% 5 < 2 THEN 'offline' ELSE 'online' END",
            "state": "CASE WHEN n %% 50 = 0 THEN 'chatting' WHEN n %% 3 = 0 THEN 'closed' ELSE 'closed_by_operator' END",
            "created_at": "now() - (%(count)s - n) * interval '5 minutes'",
            "closed_at": "CASE WHEN n %% 50 > 0 THEN now() - (%(count)s - n) * interval '5 minutes' + interval '1 hour' END",
            "last_message_at": "now() - (%(count)s - n) * interval '5 minutes'",
            "last_text": "'Where is my order?'",
            "revision": "12",
        },
        "(SELECT id - %(base)s - 1 AS n, id, account_id FROM dialogs_visitor WHERE id > %(base)s) v ORDER BY n",
        given | {"places": [account.pk for account in accounts]},
    )
    write_messages(given["before"])
    return supervisors


def write_messages(before: int) -> None:
    """COPY with the triggers off, and the index made by the function that they and the migration use."""
    dice = random.Random(20)
    # the order of the dialogs' keys is that of their places
    columns = "dialog_id, kind, text, code, params, at, revision, client_key"
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE dialogs_message DISABLE TRIGGER USER")
        cursor.execute(
            "SELECT array_agg(id ORDER BY id), array_agg(created_at ORDER BY id) FROM dialogs_dialog WHERE id > %s", [before]
        )
        keys, moments = cursor.fetchone()
        with cursor.copy(f"COPY {Message._meta.db_table} ({columns}) FROM STDIN") as copy:
            for n, place, text in texts(dice):
                kind = "operator" if place % 2 else "visitor"
                copy.write_row((keys[n], kind, text, "", "{}", moments[n], place + 1, ""))
                if place == 2:
                    copy.write_row((keys[n], "system", "", "left", "{}", moments[n], place + 20, ""))
        cursor.execute("SELECT pg_get_indexdef('dialogs_searchtext_words'::regclass)")
        (made_by,) = cursor.fetchone()
        cursor.execute("DROP INDEX dialogs_searchtext_words")
        for lowest in range(keys[0], keys[-1] + 1, 20_000):
            cursor.execute("SELECT dialogs_search_again(%s, %s)", [lowest, lowest + 19_999])
        cursor.execute(made_by)
        cursor.execute("ALTER TABLE dialogs_message ENABLE TRIGGER USER")
        cursor.execute("VACUUM ANALYZE dialogs_visitor, dialogs_dialog, dialogs_message, dialogs_searchtext")


def measure() -> tuple[float, str, str, float]:
    """The 95th percentile over all questions, asked by supervisors and operators of the largest and a small account."""
    supervisors = fill()
    settings.RATE_LIMITS = settings.RATE_LIMITS | {"operator_search": "1000000/min"}  # nobody asks as fast as this
    dice = random.Random(7)
    people_asking = [supervisors[0], supervisors[-1], *Operator.objects.filter(account=supervisors[0].account, role="operator")[:1]]
    taken: dict[str, list[float]] = defaultdict(list)
    for person in people_asking:
        client = Client(SERVER_NAME="127.0.0.1")
        client.force_login(person)
        client.get(PATH)
        for _round in range(ROUNDS):
            for question in ASKED:
                values = some(person, dice)
                asked = {name: value.format(**values) for name, value in question.items()}
                if not person.is_supervisor and ("operator" in asked or "department" in asked):
                    continue  # not theirs to choose
                began = time.perf_counter()
                answer = client.get(PATH, asked)
                taken[str(question)].append((time.perf_counter() - began) * 1000)
                assert answer.status_code == 200, (asked, answer.content)
    all_times = sorted(one for times in taken.values() for one in times)
    slowest = sorted(taken, key=lambda question: median(taken[question]))[-3:]
    note = (
        f"{len(all_times)} questions of {len(ASKED)} kinds, {DIALOGS * MESSAGES_EACH} messages;"
        f" median {median(all_times):.0f}, most {all_times[-1]:.0f}; slowest kinds, median: "
        + ", ".join(f"{question} {median(taken[question]):.0f}" for question in reversed(slowest))
    )
    return quantiles(all_times, n=20)[-1], "ms", note, LIMIT


def some(person: Operator, dice: random.Random) -> dict[str, object]:
    """Values for the places in ASKED, of the person's account."""
    account, count = person.account, Dialog.objects.filter(account=person.account).count()
    number = dice.randint(1, count)
    dialog = Dialog.objects.select_related("visitor").get(account=account, number=number)
    text = Message.objects.filter(dialog=dialog).exclude(kind="system").order_by("pk").values_list("text", flat=True)[0]
    return {
        "n": int(dialog.visitor.phone[4:]),
        "number": number,
        "rare": max(text.split(), key=len),
        "operator": Operator.objects.filter(account=account, role="operator").first().pk,
        "department": account.departments.first().pk,
        "long_ago": (dialog.created_at - timedelta(days=60)).date(),
        "later": (dialog.created_at + timedelta(days=60)).date(),
        "early": count // 20,
    }
