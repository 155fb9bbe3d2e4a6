"""Limits for guessing passwords on the sign-in page (X3).

An attempt is counted before its password is checked. Otherwise a hundred attempts that arrive at the same moment would all be
checked before the first of them was counted.

Each attempt counts against three limits:

- all attempts from one client network,
- attempts with one login from one network (a strict limit),
- attempts with one login from anywhere (a loose limit, because a strict one would let anybody lock a login out for its owner).

If the login has been used successfully in this browser before (see `known_browsers`), a single limit of that browser applies
instead. Logins that do not exist are counted like those that do, so that limits do not tell which logins exist.
"""

import hashlib
from dataclasses import dataclass, field

from operators.logins import login_key
from webim_offline.foundation.rate_limits import forget, give_back, spend_all


@dataclass
class Attempt:
    """One attempt to sign in, which has been counted by `begin`.

    If `wait` is 0, the password may be checked; afterwards the caller tells the outcome by `succeeded` or `not_judged`, or by
    nothing when the password was wrong. Otherwise `wait` is the number of seconds until the next attempt is allowed, and `limit`
    is the name of the limit that was reached. `shares` are the limits that the attempt counts against.
    """

    shares: tuple[tuple[str, str], ...]
    wait: int = 0
    limit: str = ""
    _open: bool = field(default=True, init=False)

    def not_judged(self) -> None:
        """Take the attempt back: the password could not be checked (the database was away, say), so this was no failure."""
        if self._open and not self.wait:
            for share in self.shares:
                give_back(*share)
        self._open = False

    def succeeded(self) -> None:
        """Take the attempt back, because the password was right, and forget earlier failures with this login from here."""
        for name, client in self.shares if self._open else ():
            if name in {"login_failures", "login_browser"}:
                forget(name, client)
            else:
                give_back(name, client)
        self._open = False


def begin(name: str, *, network: str, browser: str) -> Attempt:
    """Count an attempt to sign in with the login `name`, and return it.

    `network` is the client's network (see `client_address.client_network`). `browser` is what `known_browsers.known_as` returns.
    """
    if browser:
        shares: tuple[tuple[str, str], ...] = (("login_browser", browser),)
    else:
        # A login may hold any character that a person can type, but a cache key may not. So the key has a digest of it.
        digest = hashlib.sha256(login_key(name).encode(errors="replace")).hexdigest()
        shares = (("login_network", network), ("login_failures", f"{digest}:{network}"), ("login_name", digest))
    wait, limit = spend_all(*shares)
    return Attempt(shares, wait, limit)
