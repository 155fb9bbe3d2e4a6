"""What leaves this machine is encrypted, to a peer whose certificate was checked, unless an address says otherwise itself.

Pure decisions about hosts and options; `environment` reads the addresses and refuses them.
"""

import ipaddress
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode

WORD = "plaintext"  # ?plaintext=1 in an address: its owner knows, and trusts the network in between
# libpq's own words are explicit enough, the weak ones too
SSL_MODES = frozenset({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"})
REDIS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


def is_local(host: str) -> bool:
    """Does what is sent there stay on this machine: a loopback address, localhost, a socket's path, nothing at all?"""
    if not host or host.startswith(("/", "@")) or host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def postgresql_tls(host: str, options: Mapping[str, object]) -> dict[str, object]:
    """libpq's sslmode and sslrootcert for a server at `host` (several: comma-separated) that the address leaves open.

    Another machine is asked for TLS and its certificate checked, name and all. Raises ValueError for an unknown sslmode.
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
        # not libpq's «system»: psycopg's wheels bring an OpenSSL that looks for certificates where no machine has them
        found["sslrootcert"] = ssl.get_default_verify_paths().cafile or "system"
    return found


def _places(host: str, options: Mapping[str, object]) -> list[str]:
    """Where libpq would connect to, which takes from the environment what it is not told."""
    named = host or str(options.get("host", os.environ.get("PGHOST", "")))
    addresses = str(options.get("hostaddr", os.environ.get("PGHOSTADDR", "")))
    service = str(options.get("service", os.environ.get("PGSERVICE", "")))  # a file elsewhere names the host
    return [*named.split(","), *addresses.split(","), service]


def redis_checks(files: Mapping[str, str]) -> str:
    """The query of a rediss:// address with which redis-py, Django's cache and Celery's broker all check the certificate.

    `files`: REDIS_FILES that were given. Raises OSError for files that cannot be read as certificates and key.
    """
    context = ssl.create_default_context()
    if authorities := files.get("ssl_ca_certs"):
        context.load_verify_locations(authorities)
    if certificate := files.get("ssl_certfile"):
        context.load_cert_chain(certificate, files.get("ssl_keyfile"))
    return urlencode({"ssl_cert_reqs": "required", "ssl_check_hostname": "true", **files})
