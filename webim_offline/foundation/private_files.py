"""Taking other users' access to our files in VAR_DIR away.

Nobody but the user of the service may read them, except for the static files, which hold no data. The umask (in the settings) keeps
new files private. This module closes what an older version, a restored backup or another umask has left open.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from webim_offline.foundation.environment import Refused

OTHERS = 0o077  # the permissions of everybody else
STATIC = "static"
# Files by which a folder is recognised as ours. Nobody else can need a folder that holds one of them.
MARKS = frozenset({"webim_offline.sqlite3", "secret_key", "supervisor.lock", "hints.port"})


def close_folder(folder: Path) -> str:
    """Take everybody else's access to the folder VAR_DIR away.

    Returns a warning for a person if this is not possible, otherwise an empty string. A folder that holds other people's files too
    (VAR_DIR=/tmp) keeps its permissions and gets a warning.

    Raises Refused if the folder belongs to another user, who could replace the files that the service works with; if the service
    runs as root, this is a warning. Also raises Refused if the permissions cannot be changed.
    """
    try:
        found = folder.stat()
    except OSError:
        return ""  # it will be made; or whoever needs it will fail, and say why
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
    if folder.stat().st_mode & OTHERS:  # a file system without permissions accepts the change and does nothing
        return f"{folder} is open to other users of this machine, and its file system cannot close it."
    return of_another if found.st_uid != os.geteuid() else ""


def close_files(folder: Path, *others: Path) -> None:
    """Take everybody else's access to our files in VAR_DIR away, and to `others` (a database that is elsewhere).

    Raises Refused if the permissions of a file cannot be changed.
    """
    for path in (*_below(folder), *others):
        try:
            mode = stat.S_IMODE(path.lstat().st_mode)
            if mode & OTHERS and not path.is_symlink():
                path.chmod(mode & ~OTHERS)
        except FileNotFoundError:
            continue  # a message of the broker that has just been read
        except OSError as error:
            raise Refused(f"{path} is open to other users and cannot be closed: {error.strerror}.") from None


def _is_ours(folder: Path, found: os.stat_result) -> bool:
    """Return whether the folder is ours: it holds one of MARKS, or nothing but static files.

    A folder that everybody shares (one with the sticky bit, as /tmp) never is.
    """
    names = set(os.listdir(folder))
    return not found.st_mode & stat.S_ISVTX and (bool(names & MARKS) or names <= {STATIC})


def _below(folder: Path) -> Iterator[Path]:
    """Yield all files and folders below `folder`, except for the static files.

    If others may enter the folder, only those are yielded that we have certainly made ourselves.
    """
    closed = not folder.stat().st_mode & OTHERS
    for name in sorted(os.listdir(folder)):
        if name == STATIC or not (closed or name == "broker" or name.startswith(tuple(MARKS))):
            continue
        yield folder / name
        for place, folders, files in os.walk(folder / name):  # yields nothing for a file
            yield from (Path(place, inner) for inner in (*folders, *files))
