"""What happened at the doors, one line an event: who (by id), from which network, and how it ended. docs/security.md lists them.

Lines hold ids only: no login, name, e-mail address, token or text of anybody ever stands in them.
"""

import logging
from enum import StrEnum

logger = logging.getLogger("security")


class Event(StrEnum):
    """What was tried."""

    SIGN_IN = "sign_in"
    SIGN_OUT = "sign_out"
    CONFIRMATION = "confirmation"  # the own password asked for again, before an act that needs it
    PASSWORD = "password"  # noqa: S105 - a password was to be changed
    ROLE = "role"
    ACTIVATION = "activation"  # somebody was to be deactivated or activated, or an account archived
    SETTING = "setting"  # a setting that asks for a confirmation
    TICKET = "ticket"  # of the live app
    DENIAL = "denial"  # a page, host, site or address that the asker may not use
    LIMIT = "limit"  # a rate limit or cap was reached


class Outcome(StrEnum):
    """How it ended."""

    DONE = "done"
    REFUSED = "refused"
    LIMITED = "limited"  # not even looked at: too many attempts


def record(
    event: Event,
    outcome: Outcome,
    *,
    operator_id: int | None = None,
    account_id: int | None = None,
    network: str = "",
    actor_id: int | None = None,
    reason: str = "",
) -> None:
    """Write one line about an event.

    `operator_id` is the person whom it is about, `actor_id` who acted if that is somebody else, `network` what
    `client_address.client_network` says, `reason` a word or two of ours, never of the client's. Refusals are warnings.
    """
    facts = {
        "operator": operator_id,
        "account": account_id,
        "actor": actor_id,
        "network": network,
        "reason": reason.replace(" ", "_"),
    }
    said = "".join(f" {name}={value}" for name, value in facts.items() if value not in {None, ""})
    level = logging.INFO if outcome == Outcome.DONE else logging.WARNING
    logger.log(level, "event=%s outcome=%s%s", event, outcome, said)
