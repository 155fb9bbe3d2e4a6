"""What each kind of event says in English and in Russian, from its stored data alone (B3)."""

from datetime import UTC, datetime

import pytest
from django.utils import translation

from dialogs.event_classes import CLASSES
from dialogs.events import LetterStatusChanged, TokenLossReason, UnassignedReason, Unknown, read_strictly
from dialogs.models import DeliveryStatus, Dialog, DialogEvent, EventKind, StartState
from dialogs.reading.lengths import NO_BREAK, length_of
from dialogs.reading.letter_sentences import letters_sentence
from dialogs.reading.sentences import SENTENCES, sentence_of
from dialogs.reading.system_messages import ENTERED, ENTERED_UNDELIVERED, UNDELIVERED, text_of
from operators.models import Operator, Role

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
VERA = Operator(pk=1, account_id=1, name="Vera", role=Role.SUPERVISOR)
ANNA = Operator(pk=2, account_id=1, name="Анна Орлова")
HELP = Operator(pk=3, name="Helga", role=Role.SUPPORT)
LEFT = "left@north.example"


def said(kind, data=None, actor=None, *, reader=VERA, dialog=None):
    read_strictly(kind, data or {})
    event = DialogEvent(kind=kind, at=NOON, actor=actor, data=data or {}, dialog=dialog)
    return sentence_of(event, reader).replace(NO_BREAK, " ")


def letter(status, *, after=0, to=LEFT, **data):
    return {"key": to, "recipient": to, "status": status.value, "after": after, **data}


def begun(**fields):
    evidence = {"at": NOON.isoformat(), "department": "Support", "language": "en", "lease": 60, "in_all": 0, "candidates": []}
    return Dialog(start_state=StartState.OFFLINE, evidence=evidence, **fields)


NOBODY = (
    "Started offline: nobody in Support speaks English.",
    "Начат офлайн: в отделе «Support» нет операторов с языком: английский.",
)
STARTS = [
    (
        {"queue": "general"},
        {},
        "Put into General queue: the visitor was on the site.",
        "Попал в «Общую очередь»: посетитель был на сайте.",
    ),
    (
        {"queue": "offline"},
        {},
        "Put into Offline inquiries: the visitor was not on the site.",
        "Попал в «Офлайн-обращения»: посетителя не было на сайте.",
    ),
    (
        {"queue": "general", "has_token": True},
        {},
        "Put into General queue: the visitor was reachable in the app.",
        "Попал в «Общую очередь»: посетитель был на связи в приложении.",
    ),
    (
        {},
        {"email_only": True, "in_workspace": False},
        "It only went by mail: the account kept left messages out of the workspace.",
        "Ушёл только по почте: оставленные сообщения аккаунта не попадали в рабочее место.",
    ),
    (
        {"queue": "general"},
        {"continues": Dialog(number=41)},
        "Put into General queue: the visitor was on the site. It continues #41, which only goes by mail.",
        "Попал в «Общую очередь»: посетитель был на сайте. Он продолжает #41, который идёт только по почте.",
    ),
]
K = EventKind
S = DeliveryStatus
SAYINGS = [
    (K.VISITOR_WROTE, {}, None, "The visitor wrote again.", "Посетитель написал ещё раз."),
    (K.OPERATOR_WROTE, {}, VERA, "You answered.", "Вы ответили."),
    (K.OPERATOR_WROTE, {}, ANNA, "Анна Орлова answered.", "Анна Орлова: ответ посетителю."),
    (K.PICKED_UP, {}, VERA, "You took the dialog.", "Вы взяли диалог."),
    (K.PICKED_UP, {}, ANNA, "Анна Орлова took the dialog.", "Анна Орлова: диалог взят."),
    (
        K.PICKED_UP,
        {"warned": ["at_limit"]},
        VERA,
        "You took the dialog. Confirmed after a warning: the limit was reached.",
        "Вы взяли диалог. Подтверждено после предупреждения: лимит достигнут.",
    ),
    (
        K.PICKED_UP,
        {"operator": 7, "who": "Борис"},
        VERA,
        "You took the dialog over from Борис.",
        "Вы взяли диалог (до этого: Борис).",
    ),
    (
        K.PICKED_UP,
        {"operator": 7, "who": "Борис"},
        ANNA,
        "Анна Орлова took the dialog over from Борис.",
        "Анна Орлова: диалог взят (до этого: Борис).",
    ),
    (
        K.ASSIGNED,
        {"operator": 1, "who": "Vera"},
        None,
        "Assigned to you: you had the fewest dialogs of those who could answer.",
        "Назначен вам: у вас было меньше всего диалогов среди тех, кто мог ответить.",
    ),
    (
        K.ASSIGNED,
        {"operator": 2, "who": "Анна Орлова"},
        None,
        "Assigned to Анна Орлова, who had the fewest dialogs of those who could answer.",
        "Назначен: Анна Орлова, меньше всего диалогов среди тех, кто мог ответить.",
    ),
    *(
        (K.UNASSIGNED, {"operator": operator, "who": "Анна", "reason": reason.value, "queue": "general"}, None, english, russian)
        for reason, operator, english, russian in [
            (
                UnassignedReason.NOT_PICKED_UP,
                1,
                "Returned to the queue: you did not take it in time.",
                "Вернулся в очередь: вы не взяли его вовремя.",
            ),
            (
                UnassignedReason.NOT_PICKED_UP,
                2,
                "Returned to the queue: Анна did not take it in time.",
                "Вернулся в очередь: его не взяли вовремя (Анна).",
            ),
            (
                UnassignedReason.NOT_ONLINE,
                1,
                "Returned to the queue: you were not online any more.",
                "Вернулся в очередь: вы больше не были в сети.",
            ),
            (
                UnassignedReason.NOT_ONLINE,
                2,
                "Returned to the queue: Анна was not online any more.",
                "Вернулся в очередь: Анна больше не в сети.",
            ),
            (
                UnassignedReason.NOT_THEIRS,
                1,
                "Returned to the queue: its department or language is not yours any more.",
                "Вернулся в очередь: его отдел или язык больше не ваш.",
            ),
            (
                UnassignedReason.NOT_THEIRS,
                2,
                "Returned to the queue: its department or language is not Анна’s any more.",
                "Вернулся в очередь: его отдел или язык больше не относится к оператору (Анна).",
            ),
            (
                UnassignedReason.ARCHIVED,
                1,
                "Returned to the queue: its department was archived.",
                "Вернулся в очередь: его отдел в архиве.",
            ),
        ]
    ),
    (
        K.TRANSFERRED,
        {"to": "operator", "operator": 7, "who": "Борис", "from": "Vera", "warned": ["not_online", "not_spoken"]},
        VERA,
        "You gave it to Борис. Confirmed after a warning: not online at that moment and does not speak the language.",
        "Вы передали диалог: Борис. Подтверждено после предупреждения: не в сети в тот момент и не говорит на языке диалога.",
    ),
    (
        K.TRANSFERRED,
        {"to": "operator", "operator": 7, "who": "Борис", "warned": []},
        ANNA,
        "Анна Орлова gave it to Борис.",
        "Диалог передан: Анна Орлова → Борис.",
    ),
    (
        K.TRANSFERRED,
        {"to": "operator", "operator": 1, "who": "Vera", "warned": []},
        ANNA,
        "Анна Орлова gave it to you.",
        "Анна Орлова: диалог передан вам.",
    ),
    (
        K.TRANSFERRED,
        {"to": "operator", "operator": 1, "who": "Vera", "warned": []},
        VERA,
        "You gave it to yourself.",
        "Вы передали диалог себе.",
    ),
    (
        K.TRANSFERRED,
        {"to": "department", "department": "Sales", "queue": "general"},
        VERA,
        "You moved it to Sales.",
        "Вы перевели диалог в отдел «Sales».",
    ),
    (
        K.TRANSFERRED,
        {"to": "department", "department": "Sales", "queue": "general"},
        ANNA,
        "Анна Орлова moved it to Sales.",
        "Анна Орлова: диалог переведён в отдел «Sales».",
    ),
    (K.TRANSFERRED, {"to": "queue"}, VERA, "You returned it to the queue.", "Вы вернули диалог в очередь."),
    (K.TRANSFERRED, {"to": "queue"}, ANNA, "Анна Орлова returned it to the queue.", "Анна Орлова: диалог возвращён в очередь."),
    (
        K.REOPENED,
        {"who": "Анна"},
        None,
        "Reopened by a message of the visitor, for Анна.",
        "Открыт снова сообщением посетителя: Анна.",
    ),
    (
        K.REOPENED,
        {"queue": "general"},
        None,
        "Reopened by a message of the visitor, in General queue.",
        "Открыт снова сообщением посетителя, в «Общей очереди».",
    ),
    (
        K.REOPENED,
        {"queue": "offline"},
        None,
        "Reopened by a message of the visitor, in Offline inquiries.",
        "Открыт снова сообщением посетителя, в «Офлайн-обращениях».",
    ),
    (K.VISITOR_LEFT, {}, None, "The visitor left the site.", "Посетитель покинул сайт."),
    (K.VISITOR_CAME_BACK, {}, None, "The visitor came to the site.", "Посетитель пришёл на сайт."),
    (
        K.VISITOR_CAME_BACK,
        {"queue": "general"},
        None,
        "Moved to General queue: the visitor came to the site.",
        "Перешёл в «Общую очередь»: посетитель пришёл на сайт.",
    ),
    (
        K.VISITOR_CAME_BACK,
        {"away": 121},
        None,
        "The visitor came back after 2 minutes 1 second.",
        "Посетитель вернулся через 2 минуты 1 секунду.",
    ),
    (
        K.VISITOR_CAME_BACK,
        {"away": 3900, "queue": "general"},
        None,
        "Moved to General queue: the visitor came back after 1 hour 5 minutes.",
        "Перешёл в «Общую очередь»: посетитель вернулся через 1 час 5 минут.",
    ),
    (
        K.LEFT_NOTICE,
        {"away": 120},
        None,
        "“Visitor left the site” was written into the dialog: the visitor had been away for 2 minutes.",
        "В диалог записано «Посетитель покинул сайт»: посетителя не было 2 минуты.",
    ),
    (
        K.WENT_OFFLINE,
        {"away": 1200, "queue": "offline"},
        None,
        "Moved to Offline inquiries: the visitor had been away for 20 minutes.",
        "Перешёл в «Офлайн-обращения»: посетителя не было 20 минут.",
    ),
    (
        K.WENT_OFFLINE,
        {"away": 60},
        None,
        "The dialog went offline: the visitor had been away for 1 minute.",
        "Диалог перешёл в офлайн: посетителя не было 1 минуту.",
    ),
    (
        K.WENT_OFFLINE,
        {"limit": 300, "away": 1320, "queue": "offline"},
        None,
        "Moved to Offline inquiries: the visitor had been away for 22 minutes when the limit became 5 minutes.",
        "Перешёл в «Офлайн-обращения»: посетителя не было 22 минуты, а по новой настройке его ждут 5 минут.",
    ),
    (
        K.RETURNED,
        {},
        None,
        "“The visitor is back on the site” was written into the dialog.",
        "В диалог записано «Посетитель вернулся на сайт».",
    ),
    (
        K.TOKEN_SET,
        {"queue": "general"},
        None,
        "Moved to General queue: the visitor is reachable in the app from now on.",
        "Перешёл в «Общую очередь»: посетитель теперь на связи в приложении.",
    ),
    (
        K.TOKEN_SET,
        {},
        None,
        "The visitor is reachable in the app: the dialog stays online while the app is closed.",
        "Посетитель на связи в приложении: диалог остаётся онлайн, даже когда приложение закрыто.",
    ),
    (
        K.TOKEN_REMOVED,
        {"reason": "removed", "away": False},
        None,
        "The app takes no push messages any more: the dialog stays online only while the visitor is there.",
        "Приложение больше не принимает push-уведомления: диалог онлайн, только пока посетитель на месте.",
    ),
    (
        K.TOKEN_REMOVED,
        {"reason": "invalid", "away": True},
        None,
        "The push service does not know the app any more: the visitor counts as away from this moment.",
        "Служба push-уведомлений больше не знает это приложение: с этого момента посетителя нет на месте.",
    ),
    (
        K.TOKEN_REMOVED,
        {"reason": "moved", "away": True},
        None,
        "Somebody else uses the visitor’s device now: the visitor counts as away from this moment.",
        "Устройством посетителя теперь пользуется другой человек: с этого момента посетителя нет на месте.",
    ),
    (
        K.CONTACTS_LEFT,
        {"fields": ["name", "email", "phone", "own"]},
        None,
        "The visitor left contacts: name, email, phone, more details.",
        "Посетитель оставил контакты: имя, эл. почта, телефон, другие данные.",
    ),
    (K.CONTACTS_LEFT, {}, None, "The visitor left contacts.", "Посетитель оставил контакты."),
    (K.ENTERED_WORKSPACE, {}, VERA, "You brought it into the workspace.", "Вы вернули диалог в рабочее место."),
    (
        K.ENTERED_WORKSPACE,
        {},
        HELP,
        "Support staff brought it into the workspace.",
        "Поддержка сервиса: диалог возвращён в рабочее место.",
    ),
    (
        K.ENTERED_WORKSPACE,
        {"undelivered": "refused", "detail": "550 no such user"},
        None,
        (
            "Brought into the workspace because the letter could not be delivered:"
            " the mail server refused it for good (550 no such user)."
        ),
        (
            "Попал в рабочее место, потому что письмо не удалось доставить:"
            " почтовый сервер окончательно отказался его принять (550 no such user)."
        ),
    ),
    (
        K.DELIVERY,
        letter(S.QUEUED),
        None,
        "A letter is on its way to the mail server: left@north.example.",
        "Письмо передаётся почтовому серверу: left@north.example.",
    ),
    (
        K.DELIVERY,
        letter(S.ACCEPTED, after=38),
        None,
        "The mail server accepted the letter after 38 seconds: left@north.example.",
        "Почтовый сервер принял письмо через 38 секунд: left@north.example.",
    ),
    (
        K.DELIVERY,
        letter(S.ACCEPTED),
        None,
        "The mail server accepted the letter after a moment: left@north.example.",
        "Почтовый сервер принял письмо через мгновение: left@north.example.",
    ),
    (
        K.DELIVERY,
        letter(S.REFUSED, detail="550 no such user"),
        None,
        "The mail server refused the letter for good: left@north.example (550 no such user).",
        "Почтовый сервер окончательно отказался принять письмо: left@north.example (550 no such user).",
    ),
    (
        K.DELIVERY,
        letter(S.GIVEN_UP, after=86_400, detail="451 later"),
        None,
        "The letter was given up after 1 day of trying: left@north.example (451 later).",
        "Письмо не ушло, попытки шли 1 день: left@north.example (451 later).",
    ),
    (
        K.DELIVERY,
        letter(S.UNKNOWN),
        None,
        "The mail server did not say whether it accepted the letter: left@north.example.",
        "Почтовый сервер не сказал, принял ли он письмо: left@north.example.",
    ),
    (
        K.DELIVERY,
        letter(S.NO_SERVER),
        None,
        "A letter was written but not sent, there is no mail server: left@north.example.",
        "Письмо написано, но не отправлено, почтового сервера нет: left@north.example.",
    ),
    (
        K.DELIVERY,
        letter(S.NO_ADDRESS, to=""),
        None,
        "No letter was written: no address is entered under “For left messages”.",
        "Письма не было: в поле «Для оставленных сообщений» нет ни одного адреса.",
    ),
    (K.CLOSED_BY_VISITOR, {}, None, "The visitor ended the chat.", "Посетитель завершил чат."),
    (K.CLOSED_BY_OPERATOR, {}, VERA, "You closed the dialog.", "Вы закрыли диалог."),
    (K.CLOSED_BY_OPERATOR, {}, ANNA, "Анна Орлова closed the dialog.", "Анна Орлова: диалог закрыт."),
    (
        K.CLOSED_BY_TIME,
        {"after": 2_592_000},
        None,
        "Closed by time: nobody wrote for 30 days.",
        "Закрыт по времени: никто не писал 30 дней.",
    ),
    (
        K.CLOSED_BY_SILENCE,
        {"after": 259_200},
        None,
        "Closed: the visitor did not answer for 3 days.",
        "Закрыт: посетитель не отвечал 3 дня.",
    ),
    (
        K.CLOSED_FOR_GOOD,
        {"after": 600},
        None,
        "Closed for good: nobody wrote for 10 minutes after it was closed.",
        "Закрыт окончательно: после закрытия никто не писал 10 минут.",
    ),
]


def test_every_kind_of_event_has_a_sentence():
    """Who adds a kind adds its sentence, and its example here."""
    assert set(SENTENCES) == {*CLASSES.values(), Unknown}
    assert {kind for kind, *_ in SAYINGS} | {EventKind.STARTED} == set(EventKind)
    assert {data["status"] for kind, data, *_ in SAYINGS if kind == EventKind.DELIVERY} == set(DeliveryStatus)
    assert {data["reason"] for kind, data, *_ in SAYINGS if kind == EventKind.TOKEN_REMOVED} == set(TokenLossReason)
    assert {data["reason"] for kind, data, *_ in SAYINGS if kind == EventKind.UNASSIGNED} == set(UnassignedReason)


@pytest.mark.parametrize(("kind", "data", "actor", "english", "russian"), SAYINGS)
def test_what_an_event_says(kind, data, actor, english, russian):
    with translation.override("en"):
        assert said(kind, data, actor) == english
    with translation.override("ru"):
        assert said(kind, data, actor) == russian


@pytest.mark.parametrize(("data", "fields", "english", "russian"), STARTS)
def test_a_start_says_why_and_where(data, fields, english, russian):
    with translation.override("en"):
        assert said(EventKind.STARTED, data, dialog=begun(**fields)) == f"{NOBODY[0]} {english}"
    with translation.override("ru"):
        assert said(EventKind.STARTED, data, dialog=begun(**fields)) == f"{NOBODY[1]} {russian}"


@pytest.mark.parametrize(
    ("seconds", "english", "russian"),
    [
        (0, "a moment", "мгновение"),
        (1, "1 second", "1 секунду"),
        (2, "2 seconds", "2 секунды"),
        (5, "5 seconds", "5 секунд"),
        (11, "11 seconds", "11 секунд"),
        (21, "21 seconds", "21 секунду"),
        (60, "1 minute", "1 минуту"),
        (120, "2 minutes", "2 минуты"),
        (300, "5 minutes", "5 минут"),
        (1260, "21 minutes", "21 минуту"),
        (90, "1 minute 30 seconds", "1 минуту 30 секунд"),
        (3600, "1 hour", "1 час"),
        (7205, "2 hours", "2 часа"),
        (18_000 + 60, "5 hours 1 minute", "5 часов 1 минуту"),
        (86_400, "1 day", "1 день"),
        (2 * 86_400 + 3600, "2 days 1 hour", "2 дня 1 час"),
        (30 * 86_400, "30 days", "30 дней"),
    ],
)
def test_lengths_of_time_have_the_right_plural(seconds, english, russian):
    """They stand after "for" and "after": in Russian in the accusative, as in «не было 21 минуту»."""
    with translation.override("en"):
        assert length_of(seconds).replace(NO_BREAK, " ") == english
    with translation.override("ru"):
        assert length_of(seconds).replace(NO_BREAK, " ") == russian
    assert f"21{NO_BREAK}" in length_of(21), "a number and its unit stay on one line"


@pytest.mark.parametrize("status", sorted(set(DeliveryStatus) - {DeliveryStatus.NO_ADDRESS}))
@pytest.mark.parametrize("count", [2, 5])
def test_letters_that_ended_alike_share_a_sentence(status, count):
    events = [LetterStatusChanged.from_data(letter(status, to=f"{n}@north.example")) for n in range(count)]
    word = {2: "2 письма", 5: "5 писем"}[count]
    with translation.override("en"):
        told = letters_sentence(events)
        assert f"{count} letters" in told
        assert ("0@north.example and 1@north.example." if count == 2 else "and 2 more.") in told
    with translation.override("ru"):
        assert word in letters_sentence(events)


def test_the_reader_is_you_and_support_staff_has_no_name_for_customers():
    with translation.override("en"):
        assert said(EventKind.PICKED_UP, actor=ANNA, reader=ANNA) == "You took the dialog."
        assert said(EventKind.ENTERED_WORKSPACE, actor=HELP, reader=ANNA) == "Support staff brought it into the workspace."
        other = Operator(pk=4, name="Oleg", role=Role.SUPPORT)
        assert said(EventKind.ENTERED_WORKSPACE, actor=HELP, reader=other) == "Helga brought it into the workspace."


def test_a_mail_servers_long_answer_is_cut_in_the_sentence():
    with translation.override("en"):
        told = said(EventKind.DELIVERY, letter(DeliveryStatus.REFUSED, detail="550 " + "no " * 100))
    assert len(told) < 200
    assert told.endswith("…).")


def test_system_messages_say_why_a_dialog_came_in_the_readers_language():
    for status in UNDELIVERED:
        reason = {"undelivered": status.value, "detail": "550"}
        with translation.override("en"):
            assert text_of(ENTERED_UNDELIVERED, reason).startswith("This left message came into the workspace because")
        with translation.override("ru"):
            assert "could not" not in text_of(ENTERED_UNDELIVERED, reason)
    with translation.override("en"):
        assert text_of(ENTERED, {"who": "Vera"}) == "Vera brought this left message into the workspace"
        assert text_of(ENTERED, {"who": ""}) == "Support staff brought this left message into the workspace"
