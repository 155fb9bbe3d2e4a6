"""docs/deploy.md, its example files and the code say the same. (tests/crash/test_deployment.py runs them.)"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import services
from tests.deployment import EXAMPLES, GUIDE, INSTALLED, UNITS, example_environment, exec_start, release_steps, units
from tests.running import ROOT
from webim_offline.commands import CELERY, LIVE_OPTIONS, WORKER, WORKERS

PREFIX = f"{INSTALLED}/.venv/bin/"


OF_WORKERS = {"worker@clock": "worker", "worker@mail": "worker", "beat": "beat"}  # unit: where Celery's own command begins


def words(unit: str) -> list[str]:
    """A unit's command without the folder of its program."""
    command = exec_start(unit)
    assert command.startswith(PREFIX)
    return shlex.split(command.removeprefix(PREFIX))


def ports(kind: str) -> list[str]:
    """The instances of web or live."""
    return [unit.partition("@")[2] for unit in units() if unit.startswith(f"{kind}@")]


def test_the_units_start_what_the_code_would():
    celery = list(CELERY[CELERY.index("celery") :])
    for port in ports("live"):
        assert words(f"live@{port}") == ["uvicorn", "webim_offline.asgi:live", "--port", port, *LIVE_OPTIONS]
    for queue in ("clock", "mail"):
        assert words(f"worker@{queue}") == [*celery, *WORKER, f"--queues={queue}", f"--hostname={queue}@%h"]
    assert words("beat") == [*celery, "beat", "--loglevel=WARNING"]


def test_the_guide_names_the_commands_of_the_units():
    block = re.search(r"## Processes\n.*?```sh\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    of_units = [" ".join(words(unit)) for unit in units() if unit not in {"web@8102", "live@8202"}]
    assert block[1].strip().splitlines() == of_units


def test_the_unit_of_a_small_machine_starts_the_same_workers():
    assert words("workers") == ["python", "-m", "webim_offline.workers"]
    of_units = {tuple(words(unit)[words(unit).index(name) :]) for unit, name in OF_WORKERS.items()}
    assert {command[1:] for command in WORKERS.values()} == of_units
    for unit in OF_WORKERS:
        assert f"webim_offline-{unit}.service" in (UNITS / "webim_offline-workers.service").read_text(), "never both at once"


def test_every_process_is_there_and_nginx_leads_to_each():
    assert len(ports("web")) >= 2
    assert len(ports("live")) >= 2
    assert {unit for unit in units() if "@" not in unit or not unit.partition("@")[2].isdecimal()} == {
        "worker@clock",
        "worker@mail",
        "beat",
    }
    config = (EXAMPLES / "nginx.conf").read_text()
    for kind in ("web", "live"):
        upstream = re.search(rf"upstream {kind} {{(.*?)}}", config, re.DOTALL)[1]
        assert re.findall(r"server 127\.0\.0\.1:(\d+)", upstream) == ports(kind)


def test_the_restart_of_the_guide_names_every_instance():
    guide = GUIDE.read_text()
    for kind in ("web", "live"):
        loop = re.search(rf"for port in ([\d ]+); do\s+systemctl restart webim_offline-{kind}@", guide)
        assert loop[1].split() == ports(kind)
    for unit in ("worker@clock", "worker@mail", "beat"):
        assert f"webim_offline-{unit}" in guide


def test_the_example_environment_holds_what_the_readme_explains():
    readme = (ROOT / "README.md").read_text()
    for name in example_environment():
        assert f"`{name}`" in readme, name


def test_the_units_keep_what_they_write_to_themselves():
    for file in UNITS.glob("*.service"):
        lines = file.read_text().splitlines()
        assert {"UMask=0077", "StateDirectoryMode=0700", "StateDirectory=webim_offline"} <= set(lines), file.name


def test_the_example_environment_starts_nothing_by_itself(tmp_path: Path):
    """Copied as it is, it holds no key that others know, and no password."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment = inherited | example_environment() | {"VAR_DIR": str(tmp_path)}
    command = [sys.executable, "manage.py", "check"]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr.startswith("SECRET_KEY is not set: ")
    environment["SECRET_KEY"] = services.SECRET_KEY
    ran = subprocess.run([*command, "--deploy"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (ran.returncode, "no issues" in ran.stdout) == (0, True), ran.stderr


def test_the_steps_of_a_release_can_be_run():
    for step in release_steps():
        program, *arguments = shlex.split(step)
        assert program == ".venv/bin/python"
        answer = subprocess.run([sys.executable, *arguments[:2], "--help"], cwd=ROOT, capture_output=True, check=False)
        assert answer.returncode == 0, answer.stderr


# make test-deps installs it; under CI its absence is a failure, not a skip
@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None and os.environ.get("CI") != "true", reason="systemd is not here to read its units"
)
def test_systemd_understands_the_units(tmp_path: Path):
    for file in UNITS.iterdir():
        text = file.read_text().replace(PREFIX, f"{Path(sys.executable).parent}/")
        (tmp_path / file.name).write_text(text)
    files = []
    for unit in (*units(), "workers"):
        name, at, instance = unit.partition("@")
        file = tmp_path / f"webim_offline-{unit}.service"
        if instance:
            shutil.copy(tmp_path / f"webim_offline-{name}{at}.service", file)
        files.append(file)
    verdict = subprocess.run(
        ["systemd-analyze", "verify", *files, tmp_path / "webim_offline.target"], capture_output=True, text=True, check=False
    )
    assert (verdict.returncode, [line for line in verdict.stderr.splitlines() if "webim_offline" in line]) == (0, [])
