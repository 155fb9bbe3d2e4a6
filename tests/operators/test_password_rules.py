"""Which passwords may be chosen, wherever one is chosen."""

import io
import secrets
import string

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command

from operators.models import Account, Operator
from tests import people


def vera():
    """Nobody stored: the supervisor of North Tea."""
    account = Account(slug="northtea", name="North Tea")
    return Operator(username="vera", name="Vera Lebedeva", email="vera.l@tea-shop.example", role="supervisor", account=account)


def verdict(password, person=None):
    """Why it is refused; empty where it is taken."""
    try:
        validate_password(password, person or vera())
    except ValidationError as refusal:
        (reason,) = refusal.error_list
        assert reason.messages[0].endswith((".", "!"))
        return reason.code
    return ""


@pytest.mark.parametrize("password", ["vera-demo", "VeraLebedeva", "northtea", "support2026", "Password2026!"])
def test_passwords_that_were_taken_before(password):
    """All five were accepted on the commit before."""
    assert verdict(password)


@pytest.mark.parametrize(
    "password",
    [
        *("VeraLebedeva1987", "vera.lebedeva!!", "V3raL3b3d3va", "lebedevavera2026", "VERA LEBEDEVA 71", "VeraVeraVera!"),
        *("NorthTea2026!", "north-tea-2026", "N0rthT3@2026", "northteanorthtea", "vera@tea-shop1", "Tea-Shop-2026!"),
        *("SupportChat2026", "webim_offline1", "Operator2026!!", "offlinechat!!", "P@ssw0rd2026!!", "5upp0rt!!2026"),
        *("оператор2026!", "Пароль2026!!!", "gfhjkm123456"),
    ],
)
def test_what_anybody_would_try_who_knows_the_person_or_the_service(password):
    assert verdict(password) == "known_words"


def test_the_host_of_the_installation_counts(settings):
    settings.PUBLIC_HOST = "chat.samovar-market.example"
    assert verdict("SamovarMarket26") == "known_words"


def test_letters_of_another_alphabet_are_no_way_round():
    person = Operator(username="vera", name="Вера Лебедева")
    assert verdict("ВераЛебедева1", person) == "known_words"
    assert verdict("dthfkt,tltdf", person) == "known_words", "the name, typed on Latin keys"


@pytest.mark.parametrize(
    "password",
    [
        *("Sunshine2026!", "iloveyou2026!!", "!!dragon!!2026", "Sommer2026!!!", "qwertyuiop12", "1qaz2wsx3edc", "Qwerty123456!"),
        *("123456789012", "q1w2e3r4t5y6", "abcdefghijkl", "unbelievable", "sunshinesunshine", "Sun.shine.2026", "ghjcnjghjcnj"),
    ],
)
def test_what_stands_on_lists_of_stolen_passwords(password):
    assert verdict(password) == "breached"


@pytest.mark.parametrize("password", ["+7 921 555 12 34", "20260714-20310", "xkxkxkxkxkxk", "abcabcabcabcabc"])
def test_numbers_and_what_repeats_itself(password):
    assert verdict(password) in {"monotonous", "breached"}


@pytest.mark.parametrize("login", ["vera", "margarita", "konstantin.71"])
def test_demo_passwords_are_nobodys(login):
    assert verdict(f"{login}-demo") == "demo"
    assert verdict(f"{login}-DEMO", Operator(username="boris")) == "demo"


def test_the_length():
    fresh = "".join(secrets.choice(string.ascii_lowercase) for _ in range(200))
    assert verdict(fresh[:11]) == "short"
    assert verdict(fresh[:12]) == ""
    assert verdict(fresh[:128]) == ""
    assert verdict(fresh[:129]) == "long"
    assert verdict("x" * 200_000) == "long"


@pytest.mark.parametrize(
    "password",
    [
        *("purple-tram-onion-71", "correct horse battery staple", "my operator likes green windows", "синий трамвай у моря"),
        *("vera plants tulips in the harbour", "blue-lamp-71", "Tr0ub4dor&3-lamps", "T9#kq2$Lm7!x"),
    ],
)
def test_passphrases_and_passwords_of_ones_own(password):
    assert verdict(password) == ""


def test_what_a_password_manager_makes():
    signs = string.ascii_letters + string.digits + "!#$%&*+-=?@_"
    made = ["".join(secrets.choice(signs) for _ in range(16)) for _ in range(300)] + [secrets.token_urlsafe(12) for _ in range(300)]
    assert sum(bool(verdict(password)) for password in made) <= 6  # one in a thousand holds such a word by chance


def test_somebody_without_an_account_or_anything():
    for person in (None, Operator(), Operator(username="help", name="Help", role="support")):
        validate_password("purple tram onion", person)
        with pytest.raises(ValidationError):
            validate_password("Password2026!", person)


def test_a_password_from_before_stays_until_it_is_changed(account):
    person = people.make_operator(account, "weak")
    person.set_password("tea")
    person.save()
    assert person.check_password("tea")


class TestEveryPlace:
    """One's own page is in test_own_password."""

    def given(self, password, **more):
        passwords = {"password1": password, "password2": password}
        return {"name": "Nina Orlova", "username": "nina", "email": "", "role": "operator", "ui_language": ""} | passwords | more

    @pytest.mark.parametrize("password", ["NorthTea2026!", "NinaOrlova2026", "Password2026!", "short-one", "nina-demo"])
    def test_a_supervisor_adds_somebody(self, client, vera, password):
        client.force_login(vera)
        answer = client.post("/admin/operators/operator/add/", self.given(password))
        assert answer.status_code == 200
        assert answer.context["errors"]
        assert not Operator.objects.filter(username="nina").exists()

    def test_support_staff_add_somebody_to_an_account(self, client, account):
        client.force_login(people.make_operator(None, "help"))
        answer = client.post("/admin/operators/operator/add/", self.given("NorthTea2026!", account=account.pk))
        assert "little more than" in answer.content.decode()
        assert not Operator.objects.filter(username="nina").exists()

    @pytest.mark.parametrize("of_support", [False, True])
    def test_somebody_elses_is_changed(self, client, vera, anna, of_support):
        client.force_login(people.make_operator(None, "help") if of_support else vera)
        before = anna.password
        given = self.given("NorthTea2026!", username="anna", name="Anna", is_active="on", status="offline")
        answer = client.post(f"/admin/operators/operator/{anna.pk}/change/", given)
        assert answer.status_code == 200
        assert "little more than" in answer.content.decode()
        anna.refresh_from_db()
        assert anna.password == before

    def test_createsuperuser_takes_none_from_the_environment_unseen(self, db, monkeypatch):
        monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "Password2026!")
        with pytest.raises(CommandError, match="little more than"):
            call_command("createsuperuser", "--noinput", "--username=root", verbosity=0)
        assert not Operator.objects.exists()
        monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "purple tram onion")
        call_command("createsuperuser", "--noinput", "--username=root", verbosity=0)
        assert Operator.objects.get().is_support

    def test_changepassword_takes_none_either_and_ends_workspaces(self, anna, monkeypatch):
        before = anna.tickets_valid_from
        given = iter(["Password2026!", "Password2026!", "NorthTea2026!", "NorthTea2026!", "purple tram onion", "purple tram onion"])
        monkeypatch.setattr("getpass.getpass", lambda prompt: next(given))
        call_command("changepassword", "anna", stdout=io.StringIO(), stderr=io.StringIO())
        anna.refresh_from_db()
        assert anna.check_password("purple tram onion")
        assert anna.tickets_valid_from > before


def test_the_list_is_small_and_comes_with_its_licence(settings):
    folder = settings.BASE_DIR / "operators" / "authentication" / "data"
    assert (folder / "breached_passwords.txt.gz").stat().st_size < 1_000_000
    assert "MIT License" in (folder / "breached_passwords.LICENSE").read_text()
