"""Loaded before Django reads its settings (`-p tests.environment`): a folder, a key and a Redis database for this run alone."""

import atexit
import os
import re
import secrets
import shutil
import tempfile

if "PYTEST_XDIST_WORKER" in os.environ:
    # every process of a parallel run has its own: hints and rate limits of one must not reach the other
    os.environ["VAR_DIR"] = os.path.join(os.environ["VAR_DIR"], os.environ["PYTEST_XDIST_WORKER"])
    os.makedirs(os.environ["VAR_DIR"], exist_ok=True)
    if found := re.fullmatch(r"(redis.*/)([0-9]+)", os.environ.get("REDIS_URL", "")):
        number = int(found[2]) - int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))
        os.environ["REDIS_URL"] = f"{found[1]}{number % 16}"
elif "VAR_DIR" not in os.environ:
    os.environ["VAR_DIR"] = tempfile.mkdtemp(prefix="webim-offline-tests-")
    atexit.register(shutil.rmtree, os.environ["VAR_DIR"], ignore_errors=True)
os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(48))  # the processes of a parallel run inherit it

from webim_offline import catalogues

catalogues.compile_changed()
