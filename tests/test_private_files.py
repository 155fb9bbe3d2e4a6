"""What lies in VAR_DIR is read by our own user alone: the database, its WAL, the key, the broker's files (item 7)."""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.running import ROOT, Service, eventually
from webim_offline import catalogues
from webim_offline.foundation import private_files
from webim_offline.foundation.environment import Refused

LOOSE = 0o022  # the usual umask
STATIC = "static"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def open_ones(folder: Path) -> list[str]:
    """What other users may read, write or enter below `folder`, static files apart."""
    paths = [path for path in folder.rglob("*") if path.relative_to(folder).parts[0] != STATIC]
    return sorted(str(path.relative_to(folder)) for path in (folder, *paths) if mode(path) & 0o077)


def run(*command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess:
    """Run Python with an embedded environment and the usual umask."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    own = {"VAR_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "webim_offline.settings"} | environment
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT, env=inherited | own, capture_output=True, text=True, timeout=60, check=False, umask=LOOSE,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """A VAR_DIR of an older version: everything open."""
    folder = tmp_path / "var"
    for name in ("webim_offline.sqlite3", "webim_offline.sqlite3-wal", "webim_offline.sqlite3-shm", "secret_key", "restored.dump",
                 "broker/1.clock.msg", "static/admin/base.css", "hints.port"):  # fmt: skip
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


class TestFolder:
    def test_it_is_closed_with_all_that_lies_in_it(self, folder):
        assert private_files.close_folder(folder) == ""
        private_files.close_files(folder)
        assert mode(folder) == 0o700
        assert open_ones(folder) == []
        assert mode(folder / STATIC / "admin" / "base.css") == 0o644
        assert mode(folder / STATIC) == 0o755

    def test_a_database_elsewhere_is_closed_too(self, folder, tmp_path):
        file = tmp_path / "other.sqlite3"
        file.touch(0o644)
        file.chmod(0o664)
        private_files.close_files(folder, file, tmp_path / "other.sqlite3-wal")
        assert mode(file) == 0o600

    def test_what_a_link_leads_to_is_left_alone(self, folder, tmp_path):
        outside = tmp_path / "outside"
        outside.touch()
        outside.chmod(0o644)
        (folder / "link").symlink_to(outside)
        private_files.close_folder(folder)
        private_files.close_files(folder)
        assert mode(outside) == 0o644

    def test_one_that_does_not_exist_yet_is_no_trouble(self, tmp_path):
        assert private_files.close_folder(tmp_path / "var") == ""

    def test_an_empty_one_is_closed(self, tmp_path):
        folder = tmp_path / "var"
        folder.mkdir()
        folder.chmod(0o777)
        assert private_files.close_folder(folder) == ""
        assert mode(folder) == 0o700

    @pytest.mark.parametrize("given", [0o755, 0o1777])
    def test_one_that_is_shared_keeps_its_mode_and_its_other_things(self, tmp_path, given):
        """VAR_DIR=/tmp must not close /tmp."""
        folder = tmp_path / "shared"
        for name in ("somebody's", "webim_offline.sqlite3") if given & stat.S_ISVTX else ("somebody's", "broker"):
            (folder / name).mkdir(parents=True)
            (folder / name).chmod(0o755)
        folder.chmod(given)
        assert "a folder of its own" in private_files.close_folder(folder)
        private_files.close_files(folder)
        assert mode(folder) == given
        assert mode(folder / "somebody's") == 0o755
        assert open_ones(folder) == [".", "somebody's"]

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
    def test_somebody_else_s_is_refused(self):
        """In a process of its own: nobody can become root again in one that has become an ordinary user."""
        code = (
            "import os, sys; from pathlib import Path; from webim_offline.foundation import private_files\n"
            "os.setuid(65534); private_files.close_folder(Path(sys.argv[1]))"
        )
        with tempfile.TemporaryDirectory(prefix="webim-offline-files-") as name:
            folder = Path(name)
            folder.chmod(0o755)
            done = run("-c", code, name, folder=folder)
        assert done.returncode == 1
        assert done.stderr.strip() == f"{folder} belongs to another user (uid 0): chown it to the service's user, or set VAR_DIR."

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
    def test_root_is_told_of_somebody_else_s(self, folder):
        os.chown(folder, 65534, 65534)
        for _ in range(2):
            assert "belongs to another user (uid 65534), who can read" in private_files.close_folder(folder)
            assert mode(folder) == 0o700

    def test_a_file_that_cannot_be_closed_is_refused_in_a_line(self, folder, monkeypatch):
        def refuse(*_arguments: object) -> None:
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(Path, "chmod", refuse)
        for close in (private_files.close_folder, private_files.close_files):
            with pytest.raises(Refused, match="is open to other users and cannot be closed: Operation not permitted"):
                close(folder)

    def test_a_file_system_without_modes_is_told(self, folder, monkeypatch):
        monkeypatch.setattr(Path, "chmod", lambda *_: None)
        assert "its file system cannot close it" in private_files.close_folder(folder)


ENTRANCES = {
    "manage.py": ("manage.py", "shell", "-v0", "-c"),
    "wsgi": ("-c", "import webim_offline.wsgi"),
    "asgi": ("-c", "import webim_offline.asgi"),
    "celery": ("-c", "from webim_offline.celery import app; app.conf.broker_url; app.finalize(); app.connection_for_write()"),
    "supervisor": ("-c", "import webim_offline.supervisor"),
}


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_every_entrance_keeps_what_it_writes_to_itself(entrance, tmp_path):
    *command, code = (*ENTRANCES[entrance], "") if entrance == "manage.py" else ENTRANCES[entrance]
    write = "from pathlib import Path; import os; Path(os.environ['VAR_DIR'], 'written').write_text('x')"
    done = run(*command, f"{code}\n{write}", folder=tmp_path / "var")
    assert done.returncode == 0, done.stderr
    assert mode(tmp_path / "var" / "written") == 0o600
    assert open_ones(tmp_path / "var") == []


def test_a_service_s_whole_folder_is_its_own(tmp_path):
    """Started on a folder and a backup that others could read, by somebody with the usual umask."""
    folder = tmp_path / "var"
    before = os.umask(LOOSE)
    try:
        folder.mkdir()
        service = Service(folder)
        for name in ("supervisor.lock", "backup.sqlite3", "service.log"):
            (folder / name).touch()
        assert len(open_ones(folder)) == 4
        service.start()
    finally:
        os.umask(before)
    try:
        eventually(lambda: (folder / "webim_offline.sqlite3-wal").exists() and (folder / "hints.port").exists())
        assert mode(folder) == 0o700
        assert open_ones(folder) == []
    finally:
        assert service.stop() == 0


def test_static_files_and_catalogues_stay_readable(tmp_path):
    """Root collects and compiles them for the service's user, and may have a proxy serve them (STATIC_ROOT)."""
    done = run("manage.py", "collectstatic", "--noinput", "-v0", folder=tmp_path / "var")
    assert done.returncode == 0, done.stderr
    static = tmp_path / "var" / STATIC
    assert {mode(path) for path in static.rglob("*") if path.is_dir()} | {mode(static)} == {0o755}
    assert {mode(path) for path in static.rglob("*") if path.is_file()} == {0o644}
    source = tmp_path / "ru" / "LC_MESSAGES" / "django.po"
    source.parent.mkdir(parents=True)
    source.write_text('msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n')
    before = os.umask(0o077)
    try:
        (made,) = catalogues.compile_changed(tmp_path)
    finally:
        os.umask(before)
    assert mode(made) == 0o644
