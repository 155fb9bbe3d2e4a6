"""Certificates for tests: an authority that only the test knows, and what it vouches for."""

import subprocess
from pathlib import Path

from tests import services


class Authority:
    """A certificate authority in a folder; `file` is its certificate."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file, self.key = folder, folder / "ca.pem", folder / "ca.key"
        _openssl(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=An authority of tests"),
            *("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"),
            *("-out", self.file, "-keyout", self.key),
        )

    def issue(self, name: str) -> tuple[Path, Path]:
        """A certificate for a server of that name, and its key."""
        certificate, key, request = (self.folder / f"{name}.{end}" for end in ("pem", "key", "csr"))
        _openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-out", request, "-keyout", key)
        names = self.folder / f"{name}.ext"
        names.write_text(f"subjectAltName=DNS:{name}\n")
        _openssl(
            *("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self.key, "-CAcreateserial", "-days", "2"),
            *("-extfile", names, "-out", certificate),
        )
        return certificate, key


def _openssl(*words: object) -> None:
    try:
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
    except FileNotFoundError:
        raise services.Missing("openssl") from None
