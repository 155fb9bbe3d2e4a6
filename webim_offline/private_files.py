"""Files that nobody but our own user may read: everything in VAR_DIR but the static files, which hold nothing of anybody's.

The umask (settings) keeps new files private. What an older version, a backup or another umask left open is closed here.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from webim_offline.environment import Refused

OTHERS = 0o077
STATIC = "static"
# of a folder that holds one of these nobody else can have need
MARKS = frozenset({"webim_offline.sqlite3", "secret_key", "supervisor.lock", "hints.port"})


def close_folder(folder: Path) -> str:
    """Let nobody else into VAR_DIR; returns what to tell a person when that cannot be.

    Refused for somebody else's folder: its owner could put in what we then run on; root is only told. A folder that holds
    other people's things too (VAR_DIR=/tmp) keeps its mode.
    """
    try:
        found = folder.stat()
    except OSError:
        return ""  # it will be made, or whoever needs it will say
    if os.geteuid() not in {0, found.st_uid}:
        raise Refused(f"{folder} belongs to another user (uid {found.st_uid}): chown it to the service's user, or set VAR_DIR.")
    of_another = f"{folder} belongs to another user (uid {found.st_uid}), who can read and change everything in it."
    if not found.st_mode & OTHERS or not stat.S_ISDIR(found.st_mode):
        return of_another if found.st_uid != os.geteuid() else ""
    try:
        if not _is_ours(folder, found):
            return f"{folder} is open to other users and holds more than ours: give the service a folder of its own (VAR_DIR)."
        folder.chmod(stat.S_IMODE(found.st_mode) & ~OTHERS)
    except OSError as error:
        raise Refused(f"{folder} is open to other users and cannot be closed: {error.strerror}.") from None
    if folder.stat().st_mode & OTHERS:  # file systems without modes take everything and do nothing
        return f"{folder} is open to other users of this machine, and its file system cannot close it."
    return of_another if found.st_uid != os.geteuid() else ""


def close_files(folder: Path, *others: Path) -> None:
    """Take from everybody else what they may do with our files in VAR_DIR, and with `others` (a database that lies elsewhere)."""
    for path in (*_below(folder), *others):
        try:
            mode = stat.S_IMODE(path.lstat().st_mode)
            if mode & OTHERS and not path.is_symlink():
                path.chmod(mode & ~OTHERS)
        except FileNotFoundError:
            continue  # a broker's file that has just been read
        except OSError as error:
            raise Refused(f"{path} is open to other users and cannot be closed: {error.strerror}.") from None


def _is_ours(folder: Path, found: os.stat_result) -> bool:
    names = set(os.listdir(folder))
    return not found.st_mode & stat.S_ISVTX and (bool(names & MARKS) or names <= {STATIC})


def _below(folder: Path) -> Iterator[Path]:
    """What lies in `folder`, static files apart; where others may enter it, only what we surely made ourselves."""
    closed = not folder.stat().st_mode & OTHERS
    for name in sorted(os.listdir(folder)):
        if name == STATIC or not (closed or name == "broker" or name.startswith(tuple(MARKS))):
            continue
        yield folder / name
        for place, folders, files in os.walk(folder / name):  # of a file: nothing
            yield from (Path(place, inner) for inner in (*folders, *files))
