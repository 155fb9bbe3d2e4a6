"""Processes that are forked from one that has loaded the code: as separate and as replaceable as any (decision 0027)."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import psutil
import pytest

from tests import services
from tests.deployment import Units
from tests.notifications.mail import RunningHost
from tests.running import ROOT, Service, eventually, place_of, temporary_folder
from tests.visitors import Page
from webim_offline.children import CAN_FORK
from webim_offline.commands import WORKERS

pytestmark = pytest.mark.skipif(not CAN_FORK, reason="children are forked on Linux alone")
PLACES = {"web", "clock", "mail", "beat"}


def run(code: str, folder: Path, within: float = 60.0) -> str:
    """What a Python of its own prints: a process with threads, as that of the tests, must not be forked."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ} | {"VAR_DIR": str(folder)}
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=within, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


BEGINNING = """
import os, signal, subprocess, sys, time
os.environ["DJANGO_SETTINGS_MODULE"] = "webim_offline.settings"
from webim_offline.children import Forked, ModuleChild, Wake, asked_of_a_fork, end, freeze, keep
wake = Wake()
"""


class TestForked:
    def test_it_runs_a_module_with_its_arguments_and_is_known_by_its_title(self, tmp_path):
        told = run(
            BEGINNING
            + """
child = Forked(("http.server", "0", "--bind", "127.0.0.1"), ("server", "of", "pages"))
time.sleep(1)
print(open(f"/proc/{child.pid}/cmdline").read().replace(chr(0), " ").strip())
print(open(f"/proc/{child.pid}/comm").read().strip())
print(os.getsid(child.pid) == child.pid, child.poll())
child.kill()
print(child.wait(5), child.returncode)
""",
            tmp_path,
        )
        assert told.splitlines()[-4:] == ["server of pages", "server", "True None", "-9 -9"]

    def test_a_signal_right_after_its_start_is_not_lost(self, tmp_path):
        told = run(
            BEGINNING
            + """
codes = []
for _ in range(30):
    child = ModuleChild("test", ("http.server", "0", "--bind", "127.0.0.1"), ("test",))
    child.signal(signal.SIGTERM)
    codes.append(child.process.wait(5))
print(codes == [-signal.SIGTERM] * 30, codes)
""",
            tmp_path,
        )
        assert told.splitlines()[-1].startswith("True"), told

    def test_its_status_and_its_last_words_are_those_of_a_program(self, tmp_path):
        told = run(
            BEGINNING
            + """
print(Forked(("no_such_module",), ("test",)).wait(20), Forked(("json.tool", "/no/such/file"), ("test",)).wait(20))
""",
            tmp_path,
        )
        assert told.splitlines()[-1] == "1 2"

    def test_it_keeps_nothing_of_its_keeper(self, tmp_path):
        """Neither the claim of the folder, nor the pipe that wakes the keeper, nor handlers of signals."""
        told = run(
            BEGINNING
            + f"""
claim = open({str(tmp_path / "claim")!r}, "w")
wake.closed_in_children.append(claim)
child = Forked(("http.server", "0", "--bind", "127.0.0.1"), ("test",))
time.sleep(1)
files = [os.readlink(f"/proc/{{child.pid}}/fd/{{fd}}") for fd in os.listdir(f"/proc/{{child.pid}}/fd")]
ours = os.readlink(f"/proc/self/fd/{{wake._reader}}")
print({str(tmp_path / "claim")!r} in files, ours in files)
child.kill()
child.wait(5)
""",
            tmp_path,
        )
        assert told.splitlines()[-1] == "False False"


class TestKeeper:
    def test_it_sleeps_until_a_child_ends_or_a_signal_comes(self, tmp_path):
        told = run(
            BEGINNING
            + """
import threading
child = ModuleChild("test", ("http.server", "0", "--bind", "127.0.0.1"), ("test",))
looks = []
def until_next():
    looks.append(time.monotonic())
    if len(looks) == 1:
        os.kill(child.process.pid, signal.SIGKILL)
    elif len(looks) > 2:
        os.kill(os.getpid(), signal.SIGTERM)
    return None
began = time.monotonic()
keep([child], wake, until_next=until_next)
print(len(looks), 0.4 < time.monotonic() - began < 5)
end([child], 5)
""",
            tmp_path,
        )
        assert told.splitlines()[-1] == "3 True", told  # the beginning, the death, and the start after the pause

    def test_a_question_leaves_nothing_behind_and_its_refusal_is_the_keepers(self, tmp_path):
        told = run(
            BEGINNING
            + """
def loads():
    import fractions
    return "loaded"
print(asked_of_a_fork(loads), "fractions" in sys.modules)
def refuses():
    raise SystemExit("not today")
try:
    asked_of_a_fork(refuses)
except SystemExit as end:
    print(end.code)
""",
            tmp_path,
        )
        assert told.splitlines() == ["loaded False", "1"]

    def test_what_has_threads_is_not_forked(self, tmp_path):
        told = run(
            BEGINNING
            + """
import threading
threading.Thread(target=time.sleep, args=(5,), daemon=True).start()
try:
    freeze()
except RuntimeError as error:
    print(error)
""",
            tmp_path,
        )
        assert "must not be forked" in told


LOADED = """
import os, sys, threading
os.environ["WITHOUT_ADMIN"] = "1"
from webim_offline import loaded
known = set(sys.modules)
import runpy
def tell():
    print("LATER", *sorted(set(sys.modules) - known), flush=True)
    os._exit(0)
threading.Timer(5, tell).start()
sys.argv = {words!r}
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


@pytest.mark.long
@pytest.mark.parametrize("name", ["clock worker", "beat"])
def test_what_a_worker_needs_is_loaded_before_it_is_forked(tmp_path, name):
    (tmp_path / "broker").mkdir()
    told = run(LOADED.format(words=list(WORKERS[name])), tmp_path)
    (later,) = (line.split()[1:] for line in told.splitlines() if line.startswith("LATER"))
    assert len(later) < 10, later


@pytest.fixture
def service():
    with temporary_folder() as folder:
        service = Service(Path(folder))
        yield service
        for process in service.survivors():
            process.kill()


def tell(service: Service, code: str) -> str:
    words = "from dialogs.models import *; from operators.models import *; from notifications.models import *; "
    return service.manage("shell", "-v0", "-c", words + code).strip()


def sign_in(service: Service) -> int:
    with httpx.Client(base_url=service.url, trust_env=False, timeout=20) as client:
        client.get("/accounts/login/")
        form = {"username": "anna", "password": "anna-demo", "csrfmiddlewaretoken": client.cookies["csrftoken"]}
        return client.post("/accounts/login/", data=form).status_code


@pytest.mark.long
class TestService:
    def test_the_supervisor_stays_fit_to_be_forked(self, service):
        service.start()
        eventually(lambda: "healthy" in service.said())
        supervisor = psutil.Process(service.supervisor.pid)
        assert supervisor.num_threads() == 1
        assert supervisor.net_connections() == []
        assert [file.path for file in supervisor.open_files() if "sqlite" in file.path] == []
        assert {process.name() for process in service.children().values()} == {"uvicorn", "celery"}
        service.stop()

    def test_children_that_were_killed_are_forked_again_and_work(self, service):
        mail = RunningHost()
        mail.start()
        try:
            service.environment["EMAIL_URL"] = f"smtp://127.0.0.1:{mail.port}"
            service.start()
            known = tell(service, "print(*LiveProcess.objects.values_list('pk', flat=True))").split()
            assert len(known) == 1
            before = service.children()
            for process in before.values():
                process.kill()
            eventually(lambda: set(service.children()) == PLACES and not set(service.children().values()) & set(before.values()))
            eventually(service.is_healthy, within=30)
            assert sign_in(service) == 302
            number = Page(service, lives=False).write("Is anybody there?")
            eventually(lambda: mail.host.letters_to("left@demo.example"), within=30)
            time.sleep(3)
            (letter,) = mail.host.letters_to("left@demo.example")
            assert f"#{number}" in letter["Subject"]
            assert set(tell(service, "print(*LiveProcess.objects.values_list('pk', flat=True))").split()) - set(known), (
                "each web process has a name of its own"
            )
            assert service.stop() == 0
            assert service.survivors() == []
        finally:
            mail.stop()

    def test_a_mail_server_that_hangs_stops_no_clock(self, service):
        """It takes the connection and says nothing. The clock's work of each second goes on, within the time of P8."""
        hangs: list[list[float]] = []  # from the moment at which it took a connection to that at which the worker gave up

        def take(connection: socket.socket) -> None:
            hangs.append([time.time(), float("inf")])
            connection.recv(1)
            hangs[-1][1] = time.time()

        with socket.create_server(("127.0.0.1", 0)) as silent:
            threading.Thread(target=lambda: [take(silent.accept()[0]) for _ in range(50)], daemon=True).start()
            service.environment["EMAIL_URL"] = f"smtp://127.0.0.1:{silent.getsockname()[1]}"
            service.start()
            changes = "{'left_notice_after': 2, 'offline_after': 4}"
            change = f"change_settings(Account.objects.get(slug='demo'), {changes}, actor=None)"
            tell(service, f"from operators.actions.settings import change_settings; {change}")
            page = Page(service)
            page.write("Is anybody there?")
            eventually(lambda: hangs, within=40)  # the letter is on its way, and goes no further
            page.say_goodbye()
            steps = f"DialogEvent.objects.filter(dialog__visitor={page.visitor}, kind__in=['left_notice', 'went_offline'])"
            eventually(lambda: tell(service, f"print({steps}.count())") == "2", within=45)
            told = tell(service, f"print(*[(e.at.timestamp(), e.handled_at.timestamp()) for e in {steps}], sep='; ')")
            for at, written in (map(float, step.strip("()").split(",")) for step in told.split("; ")):
                assert written - at < 2
                assert hangs[0][0] < at < written < hangs[0][1], "the worker was waiting for the mail server"
            service.stop()


@pytest.mark.long
class TestWorkersOfProduction:
    """`python -m webim_offline.workers`."""

    @pytest.fixture
    def units(self, tmp_path):
        with (
            services.postgresql() as address,
            services.own_redis() as broker,
            services.database(address, f"webim_offline_workers_{os.getpid()}") as url,
        ):
            own = {"DATABASE_URL": url, "REDIS_URL": f"{broker}/0", "SECRET_KEY": services.SECRET_KEY, "ALLOWED_HOSTS": "127.0.0.1"}
            units = Units(tmp_path, own)
            command = [sys.executable, "manage.py", "migrate", "-v0"]
            subprocess.run(command, cwd=ROOT, env=units.environment, check=True, capture_output=True)
            try:
                units.start(*units.smallest_set())
                yield units
            finally:
                for unit in list(units.processes):
                    units.kill(unit)

    @staticmethod
    def is_healthy(units: Units) -> bool:
        try:
            return httpx.get(f"{units.direct('web@8101')}/healthz", timeout=5, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    @staticmethod
    def workers(units: Units) -> dict[str, psutil.Process]:
        return {place_of(child): child for child in psutil.Process(units.processes["workers"].pid).children()}

    def test_they_work_and_come_back(self, units):
        eventually(lambda: self.is_healthy(units), within=30)
        before = self.workers(units)
        assert set(before) == {"clock", "mail", "beat"}
        for name, process in before.items():
            process.kill()
            eventually(lambda name=name, process=process: self.workers(units).get(name, process) != process)
        eventually(lambda: self.is_healthy(units), within=30)
        assert "Traceback" not in units.said()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
    def test_they_end_together(self, units, number):
        eventually(lambda: self.is_healthy(units), within=30)
        workers = self.workers(units)
        unit = units.processes.pop("workers")
        unit.send_signal(number)
        assert unit.wait(20) == (0 if number == signal.SIGTERM else -signal.SIGKILL)
        eventually(lambda: not any(process.is_running() for process in workers.values()), within=5)
        eventually(lambda: not self.is_healthy(units), within=10)
