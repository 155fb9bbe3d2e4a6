"""`make run`: every process up, started again when it dies, nothing left behind (interfaces.md, "Commands")."""

import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import psutil
import psycopg
import pytest

from tests import services
from tests.running import ROOT, Service, eventually
from webim_offline.supervisor import Child

ACCOUNTS = "from operators.models import Account; print(list(Account.objects.values_list('slug', 'created_at')))"
PLACES = {"web", "clock", "mail", "beat"}


@pytest.fixture
def make_service(tmp_path):
    """Makes a service that is not started yet; whatever the test leaves running is killed."""
    made = []

    def make(**environment: str) -> Service:
        made.append(Service(tmp_path / f"var{len(made)}", **environment))
        return made[-1]

    yield make
    for service in made:
        for process in service.survivors():
            process.kill()


@pytest.fixture
def service(make_service):
    """An embedded service, not started yet."""
    return make_service()


def test_it_starts_says_where_it_is_and_leaves_nothing_behind(service):
    service.start()
    assert set(service.children()) == PLACES
    said = eventually(lambda: "healthy" in service.said() and service.said())
    for word in (f"{service.url}/workspace/", f"{service.url}/demo/", "anna-demo", "help-demo"):
        assert word in said
    assert "Traceback" not in said
    assert service.stop(signal.SIGTERM) == 0
    assert service.survivors() == []
    assert not list((service.folder / "broker").glob("*.taken"))
    with socket.create_server(("127.0.0.1", service.port)):
        pass  # the port is free again


@pytest.mark.long
class TestLong:
    @pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGHUP])
    def test_other_signals_end_it_too(self, service, with_signal):
        service.start()
        service.children()
        assert service.stop(with_signal) == 0
        assert service.survivors() == []

    def test_where_nothing_can_be_forked_it_runs_processes_of_their_own(self, service):
        """As on macOS; the command is that of `webim_offline.supervisor`, told that it cannot fork."""
        cannot_fork = "from webim_offline import children; children.CAN_FORK = False"
        service.command = ("-c", f"{cannot_fork}; from webim_offline import supervisor; supervisor.run()")
        service.start()
        victim = service.children()["web"]
        assert "-m" in victim.cmdline(), "a fork has a title of few words"
        victim.kill()
        eventually(lambda: service.children().get("web") not in {victim, None} and service.is_healthy(), within=30)
        assert service.stop() == 0
        assert service.survivors() == []

    @pytest.mark.parametrize("place", sorted(PLACES))
    def test_a_child_that_dies_is_started_again(self, service, place):
        service.start()
        victim = service.children()[place]
        victim.kill()
        successor = eventually(lambda: (found := service.children().get(place)) and found != victim and found, within=10)
        eventually(service.is_healthy, within=20)
        assert successor.is_running()
        service.stop()
        assert service.survivors() == []

    def test_a_killed_supervisor_leaves_nothing_behind(self, service):
        service.start()
        assert set(service.children()) == PLACES
        service.supervisor.kill()
        eventually(lambda: service.survivors() == [], within=5)

    def test_a_second_start_is_quick_and_keeps_its_data(self, service):
        service.start()
        before = service.manage("shell", "-v0", "-c", ACCOUNTS)
        assert "demo" in before
        service.stop()
        began = time.monotonic()
        service.start()  # the first start's pulses are too young to be told from this one's, so they are gone
        assert set(service.children()) == PLACES
        took = time.monotonic() - began
        assert service.manage("shell", "-v0", "-c", ACCOUNTS) == before
        assert took < 10, f"{took:.1f} s"
        service.stop()

    def test_a_demo_account_that_was_thrown_away_does_not_come_back(self, service):
        service.start()
        service.stop()
        service.manage("shell", "-v0", "-c", "from operators.models import Account; Account.objects.update(slug='ours')")
        service.start()
        assert "demo" not in service.manage("shell", "-v0", "-c", ACCOUNTS)
        service.stop()

    def test_two_supervisors_do_not_share_a_folder(self, service):
        service.start()
        environment = service.environment | {"PORT": str(services.free_port())}
        command = [sys.executable, "-m", "webim_offline.supervisor"]
        second = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 1
        assert "is running on" in second.stderr
        assert len(second.stderr.strip().splitlines()) == 1
        assert service.is_healthy()
        service.stop()

    def test_a_hung_worker_is_not_well(self, service):
        service.start()
        clock = service.children()["clock"]
        clock.suspend()
        eventually(lambda: not service.is_healthy(), within=10)
        parts = httpx.get(f"{service.url}/healthz").json()["parts"]
        assert not parts["sweep"]["ok"]
        assert parts["beat"]["ok"]
        clock.resume()
        eventually(service.is_healthy, within=10)
        service.stop()

    def test_it_runs_on_postgresql_and_redis(self, make_service):
        with (
            services.redis_server() as broker,
            services.postgresql() as address,
            services.database(address, f"webim_offline_service_{os.getpid()}") as url,
        ):
            service = make_service(DATABASE_URL=url, REDIS_URL=f"{broker}/12", SECRET_KEY=services.SECRET_KEY).start()
            assert set(service.children()) == PLACES
            assert not (service.folder / "broker").exists()
            assert service.manage("shell", "-v0", "-c", ACCOUNTS) == "[]\n"  # the demo account is for the embedded database
            service.stop()

    def test_it_runs_on_postgresql_alone(self, make_service):
        with services.postgresql() as address, services.database(address, f"webim_offline_service_{os.getpid()}") as url:
            service = make_service(DATABASE_URL=url, SECRET_KEY=services.SECRET_KEY).start()
            service.stop()

    def test_health_is_told_while_the_database_hangs(self, make_service):
        """Connections stand, nothing answers: /healthz itself says so within 2 s."""
        with (
            services.redis_server() as broker,
            services.own_postgresql() as (address, server),
            services.database(address, "webim") as url,
        ):
            service = make_service(DATABASE_URL=url, REDIS_URL=f"{broker}/12", SECRET_KEY=services.SECRET_KEY).start()
            with server.suspended():
                for _ in range(4):
                    began = time.monotonic()
                    answer = httpx.get(f"{service.url}/healthz", timeout=5)
                    assert time.monotonic() - began < 2
                    assert answer.status_code == 503
                    assert answer.json()["database"] is False
            eventually(service.is_healthy, within=20)
            service.stop()

    def test_it_survives_a_restart_of_the_database(self, make_service):
        with (
            services.redis_server() as broker,
            services.own_postgresql() as (address, _server),
            services.database(address, "webim") as url,
        ):
            service = make_service(DATABASE_URL=url, REDIS_URL=f"{broker}/12", SECRET_KEY=services.SECRET_KEY).start()
            beat = service.children()["beat"]
            with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
                connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'webim'")
            time.sleep(3)
            eventually(service.is_healthy, within=20)
            assert service.children()["beat"] == beat
            service.stop()


class TestChild:
    """One supervised process."""

    def test_what_it_had_started_goes_with_it(self, tmp_path):
        note = tmp_path / "pid"
        child = Child("test", ["/bin/sh", "-c", f"sleep 600 & echo $! > {note}; wait"])
        grandchild = psutil.Process(int(eventually(lambda: note.exists() and note.read_text())))
        child.process.kill()
        child.process.wait()
        assert grandchild.is_running()
        child.look()
        eventually(lambda: not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE)

    def test_one_that_dies_young_is_started_after_growing_pauses(self, capsys):
        child = Child("test", ["/bin/false"])
        pauses = []
        for _ in range(7):
            child.process.wait()
            child.look()
            pauses.append(child.pause)
            child.restart_at = 0.0
            child.look()
        child.process.wait()
        assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
        assert "test ended (1), starting it again in 0.5 s" in capsys.readouterr().out

    def test_one_that_had_lived_is_started_at_once(self):
        child = Child("test", ["/bin/sleep", "600"])
        first = child.process
        first.kill()
        first.wait()
        child.started_at -= 60
        child.look()
        try:
            assert child.process != first
            assert child.process.poll() is None
        finally:
            child.process.kill()
            child.process.wait()
