"""The production layout of docs/deploy.md, made of its own example files: other ports and folders are all that is put in."""

import contextlib
import os
import re
import shlex
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil

from tests import services
from tests.records import Records
from tests.running import ROOT, eventually

GUIDE = ROOT / "docs" / "deploy.md"
EXAMPLES = ROOT / "docs" / "examples"
UNITS = EXAMPLES / "systemd"
STREAMS_PER_ADDRESS = 100  # here, where nobody but the test of it has many
INSTALLED = "/srv/webim_offline"
PROGRAMS = Path(sys.executable).parent


def units() -> list[str]:
    """The units that webim_offline.target wants, without prefix and suffix: web@8101, beat."""
    return re.findall(r"webim_offline-(\S+)\.service", (UNITS / "webim_offline.target").read_text())


def exec_start(unit: str) -> str:
    """The command of a unit as its file has it, `%i` filled in."""
    name, at, instance = unit.partition("@")
    found = re.findall(r"^ExecStart=(.+)$", (UNITS / f"webim_offline-{name}{at}.service").read_text(), re.MULTILINE)
    assert len(found) == 1, f"{unit} has {len(found)} commands"
    return found[0].replace("%i", instance).replace("%%", "%")


def example_environment() -> dict[str, str]:
    """The example's variables, read as systemd does."""
    lines = (EXAMPLES / "environment").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line.strip() and not line.startswith("#"))


def release_steps() -> list[str]:
    """What deploy.md says to run before a release's processes start."""
    block = re.search(r"## Release\n.*?```sh\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert block, "deploy.md has no block of commands under «Release»"
    return block[1].strip().splitlines()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost, and its key."""
    certificate, key = folder / "fullchain.pem", folder / "privkey.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost", "-out", str(certificate), "-keyout", str(key)]
    try:
        subprocess.run([*command, *names], check=True, capture_output=True)
    except FileNotFoundError:
        raise services.Missing("openssl") from None
    return certificate, key


def _without_ipv6(config: str) -> str:
    """A machine without IPv6 cannot listen there."""
    return re.sub(r"^\s*listen \[::\].*\n", "", config, flags=re.MULTILINE)


class Units:
    """Units of the example files, run as children: `direct` leads to one process. `own` is put into the example's environment."""

    def __init__(self, folder: Path, own: dict[str, str]) -> None:
        self.folder = folder
        self.nginx_conf = (EXAMPLES / "nginx.conf").read_text()
        told = {int(port) for port in re.findall(r"(?:listen |127\.0\.0\.1:)(\d+)", self.nginx_conf)}
        self.ports = {port: services.free_port() for port in sorted(told)}
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHONDONTWRITEBYTECODE") if name in os.environ}
        self.environment = inherited | example_environment() | {"VAR_DIR": str(folder / "var")} | own
        self.processes: dict[str, psutil.Popen] = {}

    @staticmethod
    def smallest_set() -> list[str]:
        """The units that do all the work, the fewest of them."""
        return ["web@8101", "live@8201", "workers"]

    def port(self, unit: str) -> int:
        return self.ports[int(unit.partition("@")[2])]

    def direct(self, unit: str) -> str:
        """The address of one web or live process, past nginx."""
        return f"http://127.0.0.1:{self.port(unit)}"

    def command(self, unit: str) -> list[str]:
        """A unit's command on our ports, with our Python."""
        words = exec_start(unit).replace(f"{INSTALLED}/.venv/bin/", f"{PROGRAMS}/")
        instance = unit.partition("@")[2]
        if instance.isdecimal():
            words = re.sub(rf"\b{instance}\b", str(self.port(unit)), words)
        return shlex.split(words)

    def start(self, *names: str) -> None:
        """Start units and wait until those with a port answer; PostgreSQL knows their connections by the unit's name."""
        with (self.folder / "processes.log").open("ab") as log:
            for unit in names:
                self.processes[unit] = psutil.Popen(
                    self.command(unit), cwd=ROOT, env=self.environment | {"PGAPPNAME": unit},
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                    preexec_fn=services.ends_with_us(signal.SIGKILL),
                )  # fmt: skip
        for unit in names:
            if unit.startswith(("web@", "live@")):
                eventually(lambda unit=unit: self._answers(unit), within=30)

    def _answers(self, unit: str) -> bool:
        assert self.processes[unit].poll() is None, f"{unit} ended:\n{self.said()[-4000:]}"
        try:
            return bool(httpx.get(f"{self.direct(unit)}/live/", timeout=5, trust_env=False).status_code)
        except httpx.TransportError:
            return False

    def stop(self, unit: str) -> None:
        """As systemd does with KillMode=mixed: SIGTERM to the process, in the end SIGKILL to what it left."""
        process = self.processes.pop(unit)
        process.terminate()
        try:
            process.wait(30)
        finally:
            self._kill(process)

    def kill(self, unit: str) -> None:
        """The machine's out-of-memory killer."""
        self._kill(self.processes.pop(unit))

    @staticmethod
    def _kill(process: psutil.Popen) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)

    def restart(self, unit: str) -> None:
        self.stop(unit)
        self.start(unit)

    def said(self) -> str:
        """Everything our processes wrote."""
        return (self.folder / "processes.log").read_text()


class Deployment(Units):
    """All units but nginx run as children; `url` leads through nginx, `direct` to one process."""

    def __init__(self, folder: Path, database_url: str, redis_url: str, email_url: str) -> None:
        super().__init__(folder, {})
        self.records = Records(database_url)
        self.url = f"https://localhost:{self.ports[443]}"
        self.certificate, self.key = make_certificate(folder)
        self.tls = ssl.create_default_context(cafile=self.certificate)
        # a session ticket of TLS 1.3 looks like data to websockets' reading thread, which then waits for some and never ends
        self.tls.maximum_version = ssl.TLSVersion.TLSv1_2
        self.environment |= {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "SECRET_KEY": services.SECRET_KEY,
            "PUBLIC_URL": self.url,
            "ALLOWED_HOSTS": "localhost,127.0.0.1",
            "EMAIL_URL": email_url,
            "STREAMS_PER_ADDRESS": str(STREAMS_PER_ADDRESS),
        }

    # ----- nginx -----

    def write_nginx_conf(self) -> None:
        """The example's file with our ports, certificate and folder."""
        config = _without_ipv6(self.nginx_conf)
        for port, ours in self.ports.items():
            config = re.sub(rf"(listen |127\.0\.0\.1:){port}\b", rf"\g<1>{ours}", config)
        config = config.replace("server_name chat.example;", "server_name localhost;")
        config = config.replace("/etc/ssl/chat.example/fullchain.pem", str(self.certificate))
        config = config.replace("/etc/ssl/chat.example/privkey.pem", str(self.key))
        config = config.replace("worker_shutdown_timeout 60s;", "worker_shutdown_timeout 2s;")
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        folders = "".join(f"    {kind}_temp_path {self.folder}/{kind};\n" for kind in kinds)
        config = config.replace("/var/log/nginx/access.log", f"{self.folder}/access.log")
        config = config.replace("http {\n", f"http {{\n{folders}", 1)
        (self.folder / "nginx.conf").write_text(config)
        self.folder.chmod(0o711)  # nginx's workers are another user

    def release(self) -> None:
        """Run what deploy.md says."""
        for step in release_steps():
            words = shlex.split(step.replace(".venv/bin/", f"{PROGRAMS}/"))
            subprocess.run(words, cwd=ROOT, env=self.environment, check=True, capture_output=True, text=True)

    # ----- looking into it -----

    def shell(self, code: str) -> str:
        """Run code with models and actions at hand; returns what it prints."""
        command = [sys.executable, "manage.py", "shell", "-v0", "-c", code]
        ran = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def is_healthy(self) -> bool:
        try:
            return httpx.get(f"{self.direct('web@8101')}/healthz", timeout=5, trust_env=False).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


@contextlib.contextmanager
def deployed(folder: Path, email_url: str, address: str = "") -> Iterator[Deployment]:
    """Everything running and healthy; the database is empty. `address`: of the PostgreSQL that has it."""
    services.nginx_program()
    name = f"webim_offline_deployment_{os.getpid()}"
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(services.database(address or stack.enter_context(services.postgresql()), name))
        deployment = Deployment(folder, database, stack.enter_context(services.own_redis()) + "/0", email_url)
        deployment.write_nginx_conf()
        deployment.release()
        try:
            deployment.start(*units())
            with services.nginx(folder, deployment.ports[443]) as deployment.nginx:
                eventually(deployment.is_healthy, within=30)
                yield deployment
        finally:
            for unit in list(deployment.processes):
                deployment.kill(unit)
