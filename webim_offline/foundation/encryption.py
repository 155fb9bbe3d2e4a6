"""Deciding which connections need TLS.

Connections to other machines are encrypted, and the certificate of the other side is checked, unless the URL itself says that this
is not wanted. The functions here only decide; `environment` reads the URLs from the environment, and refuses those that break the
rule.
"""

import ipaddress
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

WORD = "plaintext"  # `?plaintext=1` in a URL says that the network in between is trusted
# The values of libpq's `sslmode`. Whoever writes one into a URL has decided, also for a weak one.
SSL_MODES = frozenset({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"})
REDIS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


def is_local(host: str) -> bool:
    """Return whether what is sent to `host` stays on this machine.

    This is so for a loopback address, for localhost, for the path of a socket, and for an empty host.
    """
    if not host or host.startswith(("/", "@")) or host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def postgresql_tls(host: str, options: Mapping[str, object]) -> dict[str, object]:
    """Return the options `sslmode` and `sslrootcert` for libpq, as far as the URL's own `options` leave them open.

    `host` may be several hosts separated by commas. If one of them is another machine, TLS is required and the certificate and its
    name are checked (`verify-full`). Raises ValueError for an unknown `sslmode`.
    """
    mode = options.get("sslmode")
    if mode is None:
        if all(is_local(place) for place in _places(host, options)):
            return {}
        mode = "verify-full"
    elif mode not in SSL_MODES:
        raise ValueError(mode)
    found: dict[str, object] = {"sslmode": mode}
    own = Path("~/.postgresql/root.crt").expanduser()  # libpq's default
    root = options.get("sslrootcert", os.environ.get("PGSSLROOTCERT", "" if own.exists() else "system"))
    if mode == "verify-full" and root == "system":
        # libpq's own "system" does not work: psycopg's wheels bring an OpenSSL that looks for certificates where no machine has
        # them.
        found["sslrootcert"] = ssl.get_default_verify_paths().cafile or "system"
    return found


def _places(host: str, options: Mapping[str, object]) -> list[str]:
    """Return all hosts that libpq would connect to. What the URL does not say, it takes from the environment."""
    named = host or str(options.get("host", os.environ.get("PGHOST", "")))
    addresses = str(options.get("hostaddr", os.environ.get("PGHOSTADDR", "")))
    service = str(options.get("service", os.environ.get("PGSERVICE", "")))  # it names a host in a file elsewhere
    return [*named.split(","), *addresses.split(","), service]


def redis_checks(files: Mapping[str, str]) -> str:
    """Return the query of a `rediss://` URL that makes redis-py, Django's cache and Celery's broker check the certificate.

    `files` are the paths that the URL gives for the names in REDIS_FILES. Raises OSError if one of them cannot be read as
    certificates or as a key.
    """
    context = ssl.create_default_context()
    if authorities := files.get("ssl_ca_certs"):
        context.load_verify_locations(authorities)
    if certificate := files.get("ssl_certfile"):
        context.load_cert_chain(certificate, files.get("ssl_keyfile"))
    return urlencode({"ssl_cert_reqs": "required", "ssl_check_hostname": "true", **files})
