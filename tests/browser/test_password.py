"""The page of one's own password and what the login says when it must not be tried: as people see and use them."""

import pytest

from tests.browser.faces import LOOKS, violations

pytestmark = pytest.mark.browser

OLD, NEW = "correct horse", "purple tram onion"


@pytest.fixture
def nina(server):
    """An operator of the demo account whose password is not known to everyone; a fresh one each time."""
    server.run(f"""
        from operators.actions.people import create_operator, set_password
        account = Account.objects.get(slug="demo")
        if not Operator.objects.filter(username="nina").exists():
            create_operator(Operator(username="nina", name="Nina Константинопольская", account=account), password={OLD!r})
        set_password(Operator.objects.get(username="nina"), {OLD!r})
    """)


@pytest.fixture
def come_in(people, server, nina):
    """Signs Nina in by the form, in a browser of her own."""

    def come_in(password=OLD, **options):
        page = people(**options).new_page()
        page.goto(f"{server.url}/accounts/login/")
        page.locator("[name=username]").fill("nina")
        page.locator("[name=password]").fill(password)
        page.locator("[name=password]").press("Enter")
        page.wait_for_url("**/workspace/")
        return page

    return come_in


def fill(page, old, new, again=None):
    page.locator("[name=old_password]").fill(old)
    page.locator("[name=new_password1]").fill(new)
    page.locator("[name=new_password2]").fill(new if again is None else again)
    page.locator("[name=new_password2]").press("Enter")


def test_an_operator_changes_the_own_password(come_in, server):
    here, elsewhere = come_in(), come_in()
    here.get_by_label("Nina Константинопольская", exact=True).click()
    here.get_by_role("link", name="Change password").click()
    here.wait_for_url("**/accounts/password/")
    fill(here, "wrong", NEW)
    assert here.get_by_role("alert").inner_text().startswith("That is not your password.")
    assert here.get_by_label("Current password").get_attribute("aria-invalid") == "true"
    fill(here, OLD, NEW)
    here.wait_for_url("**/accounts/password/changed/")
    here.get_by_role("link", name="To your own page").click()
    here.wait_for_url("**/workspace/")
    elsewhere.goto(f"{server.url}/workspace/")
    assert "/accounts/login/" in elsewhere.url
    come_in(NEW)


@LOOKS
def test_axe_finds_nothing(come_in, server, scheme, width, locale):
    page = come_in(viewport={"width": width, "height": 844}, color_scheme=scheme, locale=locale, bypass_csp=True)

    def look():
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    page.goto(f"{server.url}/accounts/password/")
    look()
    fill(page, "wrong", "NinaNina2026", again="other")
    page.get_by_role("alert").first.wait_for()
    look()
    fill(page, OLD, NEW)
    page.wait_for_url("**/accounts/password/changed/")
    look()


def test_what_the_login_says_to_somebody_who_tries_too_often(people, server, nina):
    page = people(bypass_csp=True).new_page()
    page.goto(f"{server.url}/accounts/login/")
    for _ in range(11):
        page.locator("[name=username]").fill("nobody-of-ours")
        page.locator("[name=password]").fill("wrong")
        page.locator("[name=password]").press("Enter")
        page.wait_for_load_state()
    said = page.get_by_role("alert").inner_text()
    assert said.startswith("Too many failed attempts with this login. Try again in ")
    assert violations(page) == []
