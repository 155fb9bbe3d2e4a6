"""How often a password may be guessed at the login (X3), counted before it is looked at, so that a hundred at once are not one.

Three limits hold together: of one client network, of a name from one network (tight), of a name from everywhere (loose: it would
let anybody lock a known login out for everyone). A browser that has signed in with the name before has a limit of its own instead.
Names that exist and names that do not are counted alike.
"""

import hashlib
from dataclasses import dataclass, field

from operators.attempts import spend_all
from operators.known_browsers import plain_name
from webim_offline.rate_limits import forget, give_back


@dataclass
class Attempt:
    """One attempt to sign in. `wait`: 0, or the seconds until the next one; then `limit` names the limit that was reached."""

    shares: tuple[tuple[str, str], ...]
    wait: int = 0
    limit: str = ""
    _open: bool = field(default=True, init=False)

    def not_judged(self) -> None:
        """Nobody could look at the password: that was no failure."""
        if self._open and not self.wait:
            for share in self.shares:
                give_back(*share)
        self._open = False

    def succeeded(self) -> None:
        """The right password: it counts nowhere, and earlier failures of this name from here no longer do."""
        for name, client in self.shares if self._open else ():
            if name in {"login_failures", "login_browser"}:
                forget(name, client)
            else:
                give_back(name, client)
        self._open = False


def begin(name: str, *, network: str, browser: str) -> Attempt:
    """Count an attempt with `name` from `network`; `browser`: what `known_browsers.known_as` says of it."""
    if browser:
        shares: tuple[tuple[str, str], ...] = (("login_browser", browser),)
    else:
        # a login may hold anything a person can type; a cache key may not
        digest = hashlib.sha256(plain_name(name).encode(errors="replace")).hexdigest()
        shares = (("login_network", network), ("login_failures", f"{digest}:{network}"), ("login_name", digest))
    wait, limit = spend_all(*shares)
    return Attempt(shares, wait, limit)
