"""No address of the admin, however hostile, is a fault of the server, and none shows a row of another account (X1)."""

from urllib.parse import urlencode

import pytest
from django.contrib import admin
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as bounded
from hypothesis import strategies as st

from dialogs.models import Dialog
from notifications.models import OutgoingEmail
from operators.models import Account, ContactField, Department, Language, Operator
from tests import people
from tests.test_admin_separation import FOREIGN, OURS, fill, page

LONG = ["99999999999999999999", "9" * 5000]
NUMBERS = [*LONG, "-1", "1.5", "1e400", "nan", "١٢", "1,2", "x", "[]"]
MOMENTS = ["0001-01-01", "9999-12-31 23:59:59-14:00", "2026-02-30"]
VALUES = [*NUMBERS, *MOMENTS, FOREIGN, "true", "a" * 300]
WORST = [*LONG, "0001-01-01"]
PLACES = ["p", "o", "q", "all", "e", "_facets", "_popup", "_to_field", "account", "_changelist_filters"]
LOOKUPS = ["", "__exact", "__id__exact", "__in", "__id__in", "__isnull", "__isempty", "__gte", "__lt", "__pk__exact", "__year"]
REFUSED = ["id", "id__in", "account__name", "password__startswith", "visitor__token_digest"]


@pytest.fixture
def browsers(account, vera, settings):
    """A supervisor's and the support staff's; two accounts full of rows."""
    settings.RATE_LIMITS = settings.RATE_LIMITS | {"operator_search": "100000/min"}
    own = fill(account, "Tea")
    foreign = fill(people.make_account("zanzibar", name=f"{FOREIGN} Coffee", departments=()), FOREIGN)
    found = {}
    for who in (vera, people.make_operator(None, "help")):
        found[who.username] = Client(raise_request_exception=False)
        people.sign_in(found[who.username], who)
    found["own"], found["foreign"] = own, foreign
    return found


def names(model):
    """What the parameters of a list may be called: of its filters, its hierarchy, and what nobody may ask."""
    ours = admin.site._registry[model]
    fields = [item[0] if isinstance(item, tuple) else item for item in ours.list_filter] + [ours.date_hierarchy or "id"]
    return [f"{name}{lookup}" for name in fields for lookup in LOOKUPS] + PLACES + REFUSED


def look(browsers, model, query, *, who):
    """Ask for the list."""
    address = f"{page(model, 'changelist')}?{urlencode(query)}"
    response = browsers[who].get(address)
    assert response.status_code in {200, 302, 400}, (who, address[:300], response.status_code)
    if response.status_code == 302:
        assert response.url.endswith("?e=1"), address[:300]
    if who == "vera" and response.status_code == 200:
        shown = response.context and response.context.get("cl")
        assert browsers["foreign"].rows[model] not in (list(shown.result_list) if shown else []), address[:300]


@pytest.mark.parametrize("model", OURS)
def test_every_parameter_with_the_worst_values(browsers, model):
    for name in names(model):
        for value in (LONG[0],) if name in REFUSED else (LONG[0], "0001-01-01"):
            look(browsers, model, {name: value}, who="help")


@pytest.mark.parametrize("model", OURS)
def test_a_wrong_address_leads_to_the_whole_list_and_says_so(browsers, model):
    name = "state__isnull" if model is Dialog else next((name for name in names(model) if name.endswith("__isnull")), "id__isnull")
    for again in ({}, {"e": "1"}):
        response = browsers["vera"].get(page(model, "changelist"), {name: "7", **again}, follow=True)
        if name == "id__isnull":
            assert response.status_code == 400
            continue
        assert response.redirect_chain == [(f"{page(model, 'changelist')}?e=1", 302)]
        assert "asks for something that cannot be" in response.content.decode()
        assert browsers["own"].rows[model] in response.context["cl"].result_list


@pytest.mark.parametrize("model", [model for model in OURS if admin.site._registry[model].date_hierarchy])
def test_every_date(browsers, model):
    field = admin.site._registry[model].date_hierarchy
    for year in ("2026", "0", "1", "9999", "10000", *LONG, "x", None):
        for month in ("12", "13", LONG[0], None):
            for day in ("31", "32", LONG[0], None):
                query = {"year": year, "month": month, "day": day}
                asked = {f"{field}__{part}": value for part, value in query.items() if value is not None}
                look(browsers, model, asked, who="vera")


@bounded(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_several_at_once(browsers, data):
    model = data.draw(st.sampled_from(OURS))
    value = st.one_of(st.sampled_from(VALUES), st.integers().map(str), st.floats().map(str), st.text(max_size=20))
    asked = data.draw(st.lists(st.tuples(st.sampled_from(names(model)), value), min_size=2, max_size=5))
    query = [(name, word.replace("\x00", "").encode("utf-8", "replace")) for name, word in asked]
    look(browsers, model, query, who=data.draw(st.sampled_from(["vera", "help"])))


@pytest.mark.parametrize("model", OURS)
def test_pages_of_rows_that_cannot_be(browsers, model):
    for key in (*LONG, "1.5", "١٢", "x", "-1"):
        for kind in ("change", "delete", "history"):
            for method in (browsers["help"].get, browsers["help"].post):
                assert method(page(model, kind, key), {"post": "yes"}).status_code in {302, 403}, (kind, key[:30])


@pytest.mark.parametrize("model", OURS)
def test_questions_to_pages_of_rows(browsers, model):
    row = browsers["own"].rows[model]
    for kind, name in (("change", "before"), ("history", "p"), ("change", "_to_field"), ("change", "_changelist_filters")):
        for value in WORST:
            address = f"{page(model, kind, row.pk)}?{urlencode({name: value})}"
            assert browsers["vera"].get(address).status_code in {200, 400}, address[:200]


@pytest.mark.parametrize("model", [Account, Department, Language, ContactField, Operator])
def test_what_a_new_rows_form_begins_with(browsers, model):
    for name in ("account", "departments", "languages", "position", "role", "pickup_timeout"):
        for value in WORST:
            address = f"{page(model, 'add')}?{urlencode({name: value})}"
            assert browsers["help"].get(address).status_code == 200, address[:200]


@pytest.mark.parametrize("model", [Account, Department, Language, ContactField, Operator])
def test_forms_filled_in_with_nonsense(browsers, model):
    address = page(model, "change", browsers["own"].rows[model].pk)
    form = browsers["help"].get(address).context["adminform"].form
    relations = {"account", "departments", "languages"}
    for place in (address, page(model, "add")):
        for value in (*WORST, "x"):
            assert browsers["help"].post(place, dict.fromkeys(form.fields, value)).status_code in {200, 302}, value[:40]
            data = {name: [value, "1"] for name in relations}
            assert browsers["help"].post(place, data).status_code in {200, 302}, value[:40]


@pytest.mark.parametrize(
    ("model", "action"),
    [
        (Department, "archive"),
        (Language, "restore"),
        (Operator, "deactivate"),
        (Account, "archive"),
        (Dialog, "bring"),
        (OutgoingEmail, "try_again_now"),
    ],
)
def test_actions_on_rows_that_cannot_be(browsers, model, action):
    for key in NUMBERS:
        for more in ({}, {"index": key}, {"select_across": key}):
            data = {"action": action, "_selected_action": [key, "7"], **more}
            assert browsers["help"].post(page(model, "changelist"), data).status_code in {200, 302}, (key[:40], more)


def test_autocomplete(browsers):
    names_of = {"app_label": "operators", "model_name": "department", "field_name": "account"}
    for value in [*WORST, "word " * 2000]:
        for name in ("term", "page", "field_name", "model_name"):
            address = f"/admin/autocomplete/?{urlencode({**names_of, name: value})}"
            assert browsers["help"].get(address).status_code in {200, 403, 404}, address[:200]


@pytest.mark.parametrize("model", OURS)
def test_a_long_search_finds_nothing_and_says_why(browsers, model):
    for text in ("9" * 5000, "word " * 2000, "x" * 60_000):
        response = browsers["help"].get(page(model, "changelist"), {"q": text})
        assert response.status_code == 200
        assert list(response.context["cl"].queryset) == []
        assert "at most 200 characters" in response.content.decode()
