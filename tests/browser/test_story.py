"""The whole job as its people live it: one supervisor, a real mail server, a visitor, two operators and support staff."""

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.notifications.mail import RunningHost, text_of
from tests.running import Service, eventually, temporary_folder

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def mail():
    running = RunningHost()
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def service(mail):
    with temporary_folder() as folder:
        service = Service(Path(folder), EMAIL_URL=f"smtp://127.0.0.1:{mail.port}").start()
        yield service
        service.stop()


@pytest.fixture
def sign_in(people, service):
    """Sign a demo person in, in a browser of their own."""

    def sign_in(login: str, **options) -> Page:
        page = people(**options).new_page()
        page.goto(f"{service.url}/accounts/login/")
        page.locator("[name=username]").fill(login)
        page.locator("[name=password]").fill(f"{login}-demo")
        page.locator("[name=password]").press("Enter")
        page.wait_for_url(re.compile("/workspace/|/admin/"))
        return page

    return sign_in


def section(page: Page, name: str):
    return page.get_by_role("navigation", name="Dialogs").get_by_role("region", name=name)


def leave_message(page: Page, text: str) -> int:
    page.get_by_role("button", name="Leave a message").click()
    window = page.get_by_role("dialog")
    window.get_by_role("textbox", name="Name").fill("Marina")
    window.get_by_role("textbox", name="Email").fill("marina@mail.example")
    window.get_by_role("textbox", name="Message").fill(text)
    window.get_by_role("button", name="Send", exact=True).click()
    expect(window).to_contain_text(re.compile(r"#\d+"))
    return int(re.search(r"#(\d+)", window.inner_text()).group(1))


def change_account(page: Page, service: Service, **fields) -> None:
    page.goto(f"{service.url}/admin/operators/account/")
    page.get_by_role("link", name="North Tea").first.click()
    for name, value in fields.items():
        box = page.locator(f"[name={name}]")
        if isinstance(value, bool):
            box.set_checked(value)
        else:
            box.fill(str(value))
    page.get_by_role("button", name="Save", exact=True).click()


def test_a_question_asked_at_night_is_kept_mailed_shown_answered_and_closed(service, mail, people, sign_in):
    support = sign_in("help")
    change_account(support, service, left_notice_after=3, offline_after=6)
    expect(support.get_by_text("was changed successfully")).to_be_visible()

    visitor = people()
    page = visitor.new_page()
    page.goto(f"{service.url}/demo/")
    number = leave_message(page, "Hello! The lid of the kettle cracked.")
    expect(page.get_by_role("log")).to_contain_text("The lid of the kettle cracked.")

    letters = eventually(lambda: mail.host.letters_to("left@demo.example"), within=60)
    letter = letters[0]
    assert f"#{number}" in letter["Subject"]
    body = text_of(letter)
    for words in ("Marina", "marina@mail.example", "The lid of the kettle cracked.", "/demo/", f"/workspace/{number}/"):
        assert words in body

    anna, vera = sign_in("anna"), sign_in("vera")
    card = section(anna, "General queue").get_by_role("link", name=re.compile(rf"^#{number} Marina"))
    expect(card).to_be_visible()
    node = card.element_handle()
    node.evaluate("card => { card.mark = 'same node' }")

    # somebody comes online: the button changes without a reload
    stranger = people().new_page()
    stranger.goto(f"{service.url}/demo/about/")
    expect(stranger.get_by_role("button", name="Leave a message")).to_be_visible()
    anna.get_by_label("Status").select_option(label="Online")
    expect(stranger.get_by_role("button", name="Chat with us")).to_be_visible()

    # the visitor goes: label, message, offline; and comes back: all undone
    page.goto("about:blank")
    expect(card).to_contain_text("Visitor left the site")
    assert node.evaluate("card => [card.mark, card.isConnected]") == ["same node", True]
    offline_card = section(anna, "Offline inquiries").get_by_role("link", name=re.compile(rf"^#{number} Marina"))
    expect(offline_card).to_be_visible()
    assert node.evaluate("card => [card.mark, card.isConnected]") == ["same node", True]
    offline_card.click()
    log = anna.get_by_role("log")
    expect(log).to_contain_text("Visitor left the site")
    expect(log).to_contain_text("The dialog went offline: the visitor is not on the site")
    expect(anna.get_by_role("main")).to_contain_text("Visitor offline")
    page.goto(f"{service.url}/demo/about/")
    expect(log).to_contain_text("The visitor is back on the site")
    expect(anna.get_by_role("main")).to_contain_text("Visitor on the site")

    # two operators reach for it: one gets it, the other is told
    vera.goto(f"{service.url}/workspace/{number}/")
    anna.get_by_role("button", name="Take", exact=True).click()
    expect(section(anna, "In dialog with you").get_by_role("link", name=re.compile(f"^#{number} "))).to_be_visible()
    expect(vera.get_by_role("main")).to_contain_text("Anna Orlova has this dialog.")
    expect(section(vera, "Other operators").get_by_role("link", name=re.compile(f"^#{number} "))).to_be_visible()

    anna.get_by_role("textbox", name="Reply").fill("Good morning Marina! We send you a new lid.")
    anna.get_by_role("button", name="Send", exact=True).click()
    page.get_by_role("button", name=re.compile("Chat with us|Leave a message")).click()
    visitor_log = page.get_by_role("dialog").get_by_role("log")
    expect(visitor_log).to_contain_text("Good morning Marina!")
    for words in ("left the site", "went offline", "back on the site"):
        assert words not in visitor_log.inner_text()  # P11
    window = page.get_by_role("dialog")
    window.get_by_role("textbox", name="Message").fill("Thank you!")
    window.get_by_role("button", name="Send", exact=True).click()
    expect(log).to_contain_text("Thank you!")

    # the pick-up was said in one last reply of the same thread; nothing of the visitor's chat is mailed after it
    replies = eventually(lambda: mail.host.letters_to("left@demo.example")[1:], within=40)
    assert replies[0]["In-Reply-To"] == letter["Message-ID"]
    assert "Anna Orlova" in text_of(replies[0])

    anna.get_by_role("button", name="Close dialog", exact=True).click()
    expect(anna.get_by_role("link", name=re.compile(f"^#{number} "))).to_have_count(0)
    time.sleep(2)
    assert len(mail.host.letters_to("left@demo.example")) == 2
    anna.get_by_label("Status").select_option(label="Offline")


def test_with_the_switch_off_a_left_message_is_only_mailed_and_an_online_dialog_is_not_touched(service, mail, people, sign_in):
    support, anna = sign_in("help"), sign_in("anna")
    change_account(support, service, left_messages_in_workspace=False, left_messages_email="")
    expect(support.get_by_text("needed until they reach the workspace again")).to_be_visible()
    change_account(support, service, left_messages_in_workspace=False)
    expect(support.get_by_text("was changed successfully")).to_be_visible()

    page = people().new_page()
    page.goto(f"{service.url}/demo/")
    number = leave_message(page, "Only by mail, please answer.")
    expect(page.get_by_role("dialog")).to_contain_text("We will answer by e-mail")
    letter = eventually(lambda: [m for m in mail.host.letters_to("left@demo.example") if f"#{number}" in m["Subject"]], within=60)[
        0
    ]
    assert f"/workspace/{number}/" not in text_of(letter)
    anna.reload()
    expect(anna.get_by_role("link", name=re.compile(f"^#{number} "))).to_have_count(0)
    assert anna.goto(f"{service.url}/workspace/{number}/").status == 404
    anna.goto(f"{service.url}/workspace/")

    anna.get_by_label("Status").select_option(label="Online")
    other = people().new_page()
    other.goto(f"{service.url}/demo/")
    other.get_by_role("button", name="Chat with us").click()
    window = other.get_by_role("dialog")
    window.get_by_role("textbox", name="Message").fill("Is anybody there?")
    window.get_by_role("button", name="Send", exact=True).click()
    online = section(anna, "General queue").get_by_role("link", name=re.compile(rf"^#{number + 1} Visitor"))
    expect(online).to_be_visible()
    other.close()
    moved = section(anna, "Offline inquiries").get_by_role("link", name=re.compile(rf"^#{number + 1} Visitor"))
    expect(moved).to_be_visible()

    # support staff bring the mailed one back
    support.goto(f"{service.url}/admin/dialogs/dialog/?q={number}")
    support.locator("input.action-select").first.check()
    support.locator("select[name=action]").select_option(label="Bring into the workspace")
    support.get_by_role("button", name=re.compile("Go|Run")).click()
    expect(section(anna, "General queue").get_by_role("link", name=re.compile(rf"^#{number} Marina"))).to_be_visible()
    support.goto(f"{service.url}/admin/notifications/outgoingemail/?q=left@demo.example")
    expect(support.locator("#result_list")).to_contain_text("sent")
