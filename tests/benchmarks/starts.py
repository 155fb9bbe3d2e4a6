"""How many statements the start of a dialog takes (issue: at most 10)."""

from dialogs.actions.conversation import Contacts
from dialogs.reading.service import find_service
from tests import people
from tests.costs import counted


def statements(*, visiting: bool, online: bool) -> int:
    """Of one first message: by a visitor whose page is heard of or not, to a service online or not."""
    account = people.make_account(left_messages_email="left@north.example")
    people.make_operator(account, online=online)
    visitor = people.make_visitor(account)
    if visiting:
        people.arrive(visitor, people.make_process())
    contacts = Contacts(name="Marina", email="marina@mail.example", phone="+7 912 555-01-47")
    find_service(account, "support", [])  # as the page's session has
    with counted() as cost:
        people.write(visitor, contacts=contacts, visit_key="page-1", page_url="https://shop.example/", page_title="Shop")
    return cost.statements


def measure() -> tuple[float, str, str, float]:
    usual = {f"{'online' if online else 'offline'}": statements(visiting=True, online=online) for online in (True, False)}
    unheard = statements(visiting=False, online=False)
    note = (
        ", ".join(f"{start}: {count}" for start, count in usual.items())
        + f"; the message being the page's first sign of life: {unheard}"
    )
    return max(usual.values()), "count", note, 10
