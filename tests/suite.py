"""What `make test` and `make test-long` run, part by part; the closing lines say what failed and what could not run.

python -m tests.suite quick    the suite on SQLite, the suite on PostgreSQL and Redis, the browser tests
python -m tests.suite long     crash, fault injection and big data, on SQLite, on PostgreSQL and Redis, and behind nginx
"""

import contextlib
import os
import shutil
import subprocess
import sys
import time

import psycopg
from psycopg import sql

from tests.services import Missing, nginx_program, postgresql, redis_server

# what a developer may have set for running the service must not colour the verdict
OURS = set(
    "DATABASE_URL REDIS_URL EMAIL_URL EMAIL_FROM PUBLIC_URL SECRET_KEY ALLOWED_HOSTS TRUSTED_PROXIES METRICS_ALLOW"  # noqa: SIM905
    " DEBUG TIME_ZONE HOST PORT VAR_DIR WEB_CONCURRENCY STREAMS_PER_ADDRESS RATE_LIMITS".split()
)
IN_PARALLEL = ("-n", "4")  # for two cores: much of it waits
FILES_IN_PARALLEL = (*IN_PARALLEL, "--dist", "loadfile", "--no-loadscope-reorder")
# these use no database, start processes that choose theirs, or have recordings for PostgreSQL (model): once is enough
ONCE = (
    "browser/test_presence",
    "crash/test_assigning",
    "crash/test_clock_outages",
    "crash/test_database_outages",
    "crash/test_kills",
    "crash/test_migrations",
    "crash/test_outages",
    "crash/test_setting_changes",
    "dialogs/test_assigning",
    "dialogs/test_sentences",
    "dialogs/test_state",
    "model/test_machine",
    "model/test_queue_rules",
    "model/test_told",
    "crash/test_slow_readers",
    "notifications/test_letters_are_safe",
    "test_deploy_guide",
    "test_architecture",
    "test_encryption",
    "test_environment",
    "test_javascript",
    "test_locks",
    "test_private_files",
    "test_references",
    "test_secret_strength",
    "test_states_document",
    "test_supervisor",
    "test_translations",
)
DEPLOYMENTS = ("crash/test_assigning", "crash/test_deployment", "crash/test_kills", "crash/test_soak")
ELSEWHERE = [f"--ignore=tests/{module}.py" for module in DEPLOYMENTS]
RECORDED = "model/test_recorded"  # on SQLite `make test` lives random histories through


def run(*options: str, **environment: str) -> bool:
    """One pytest run in a clean environment; was it green?"""
    inherited = {name: value for name, value in os.environ.items() if name not in OURS}
    return subprocess.run([sys.executable, "-m", "pytest", *options], env=inherited | environment, check=False).returncode == 0


def on_sqlite(*options: str) -> bool:
    return run(*options)


def on_servers(*options: str) -> bool:
    """On PostgreSQL and Redis, in databases of this run alone."""
    name = f"webim_offline_{os.getpid()}"
    with postgresql() as database, redis_server() as broker:
        try:
            once = [f"--ignore=tests/{module}.py" for module in ONCE]
            return run(*options, *once, DATABASE_URL=f"{database}/{name}", REDIS_URL=f"{broker}/15")
        finally:
            _drop(database, name)


def _drop(address: str, name: str) -> None:
    """pytest-django drops what it made, unless it was interrupted."""
    with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
        left = connection.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [f"test_{name}"]).fetchall()
        for (database,) in left:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))


def in_browser() -> bool:
    if shutil.which("chromium") is None:
        raise Missing("chromium")
    together = run("-m", "browser and not alone", *FILES_IN_PARALLEL)
    return run("-m", "browser and alone") and together


def in_production() -> bool:
    """The layout of docs/deploy.md behind nginx."""
    nginx_program()
    return run("-m", "long", *(f"tests/{module}.py" for module in DEPLOYMENTS))


PARTS = {
    "quick": {
        "SQLite": lambda: on_sqlite(*IN_PARALLEL),
        "PostgreSQL and Redis": lambda: on_servers(*IN_PARALLEL),
        "browser": in_browser,
    },
    "long": {
        "long, SQLite": lambda: on_sqlite("-m", "long", *ELSEWHERE, f"--ignore=tests/{RECORDED}.py", *FILES_IN_PARALLEL),
        "long, PostgreSQL and Redis": lambda: on_servers("-m", "long", *ELSEWHERE, *IN_PARALLEL),
        "long, behind nginx": in_production,
    },
}


def main(which: str) -> int:
    lines, failed, missing = [], False, False
    for name, part in PARTS[which].items():
        print(f"\n--- {name}", flush=True)
        began = time.monotonic()
        try:
            passed = part()
        except Missing as package:
            missing = True
            lines.append(f"{name}: NOT RUN, {package} is not installed and could not be (make test-deps)")
            continue
        failed |= not passed
        lines.append(f"{name}: {'passed' if passed else 'FAILED'} in {time.monotonic() - began:.0f} s")
    print("\n" + "\n".join(lines), flush=True)
    return int(failed or (missing and os.environ.get("CI") == "true"))


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main(sys.argv[1]))
    sys.exit(130)
