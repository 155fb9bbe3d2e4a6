"""Encrypted conversations and logins: `smtps://`, `?starttls=1`, user and password (interfaces.md, EMAIL_URL)."""

import os
import shutil
import ssl
import subprocess

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from notifications.models import EmailStatus
from notifications.tasks import send_letters
from tests import people
from tests.notifications.mail import MailHost, after_window, free_port
from webim_offline.foundation.environment import MailServer

# make test-deps installs it; under CI its absence is a failure, not a skip
needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None and os.environ.get("CI") != "true", reason="openssl makes the certificate"
)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate for localhost that nobody trusts yet, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    paths = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost", "-out", str(paths[0]), "-keyout", str(paths[1])]
    subprocess.run([*command, *names], check=True, capture_output=True)
    return paths


@pytest.fixture
def trusted(certificate, monkeypatch):
    """Our side trusts the certificate."""
    make = ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", lambda **options: make(**{"cafile": certificate[0], **options}))


@pytest.fixture
def serve():
    """Start a mail server with these options; all are stopped at the end."""
    controllers = []

    def start(**options):
        host, port = MailHost(), free_port()
        controllers.append(Controller(host, hostname="127.0.0.1", port=port, **options))
        controllers[-1].start()
        return host, port

    yield start
    for controller in controllers:
        controller.stop(no_assert=True)


@pytest.fixture
def letter(account):
    people.start_dialog(account)
    [letter] = after_window()
    return letter


def server_context(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def sent(letter) -> bool:
    send_letters()
    letter.refresh_from_db()
    return letter.status == EmailStatus.SENT


@needs_openssl
@pytest.mark.usefixtures("trusted")
def test_smtps(letter, serve, certificate, settings):
    host, port = serve(ssl_context=server_context(certificate))
    settings.MAIL_SERVER = MailServer("localhost", port, tls=True)
    assert sent(letter)
    assert len(host.accepted) == 1


@needs_openssl
@pytest.mark.usefixtures("trusted")
def test_starttls_with_a_login(letter, serve, certificate, settings):
    def knows(_server, _session, _envelope, _mechanism, given):
        known = isinstance(given, LoginPassword) and (given.login, given.password) == (b"north", b"p@ss word")
        return AuthResult(success=known)

    host, port = serve(tls_context=server_context(certificate), require_starttls=True, authenticator=knows, auth_required=True)
    settings.MAIL_SERVER = MailServer("localhost", port, user="north", password="p@ss word", starttls=True)
    assert sent(letter)
    assert len(host.accepted) == 1


@needs_openssl
def test_a_certificate_that_nobody_vouches_for_gets_no_letter_and_no_password(letter, serve, certificate, settings):
    host, port = serve(tls_context=server_context(certificate))
    settings.MAIL_SERVER = MailServer("localhost", port, user="north", password="secret", starttls=True)
    assert not sent(letter)
    assert not host.accepted
    assert letter.status == EmailStatus.WAITING
    assert "certificate" in letter.last_error.lower()
    assert "secret" not in letter.last_error


@needs_openssl
@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("way", ["tls", "starttls"])
def test_a_certificate_of_another_name_gets_no_letter_and_no_password(letter, serve, certificate, settings, way):
    """It is for localhost; by its number the server is somebody else."""
    options = {"ssl_context": server_context(certificate)} if way == "tls" else {"tls_context": server_context(certificate)}
    host, port = serve(**options)
    settings.MAIL_SERVER = MailServer("127.0.0.1", port, user="north", password="secret", **{way: True})
    assert not sent(letter)
    assert (host.accepted, host.seen) == ([], {})
    assert letter.status == EmailStatus.WAITING
    assert "certificate" in letter.last_error.lower()


def test_a_server_without_starttls_gets_no_letter_and_no_password(letter, serve, settings):
    """Whoever stands in between may have taken the offer out."""
    asked = []

    def knows_everybody(*_arguments):
        asked.append(1)
        return AuthResult(success=True)

    host, port = serve(authenticator=knows_everybody, auth_require_tls=False)
    settings.MAIL_SERVER = MailServer("localhost", port, user="north", password="secret", starttls=True)
    assert not sent(letter)
    assert (host.accepted, host.seen, asked) == ([], {}, [])
    assert letter.status == EmailStatus.WAITING
    assert "STARTTLS" in letter.last_error


def test_a_wrong_password_is_said_and_retried(letter, serve, settings):
    def knows_nobody(*_arguments):
        return AuthResult(success=False, handled=False)

    host, port = serve(authenticator=knows_nobody, auth_require_tls=False)
    settings.MAIL_SERVER = MailServer("127.0.0.1", port, user="north", password="wrong")
    assert not sent(letter)
    assert letter.status == EmailStatus.WAITING
    assert letter.last_error.startswith(f"127.0.0.1:{port}: 535")
    assert not host.accepted
