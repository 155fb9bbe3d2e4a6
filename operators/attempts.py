"""Attempts at a password, each counted against several limits together (X3)."""

from webim_offline.rate_limits import give_back, spend


def spend_all(*shares: tuple[str, str]) -> tuple[int, str]:
    """Count one attempt against several limits, (name, client) each, or against none where one of them is reached.

    Returns (0, ""), or the seconds to wait and the name of the first limit that was reached.
    """
    for place, (name, client) in enumerate(shares):
        if wait := spend(name, client):
            for spent in shares[:place]:
                give_back(*spent)
            return wait, name
    return 0, ""
