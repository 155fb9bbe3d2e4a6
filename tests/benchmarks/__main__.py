"""`make bench`: run the benchmarks, print a table, write `var/bench.jsonl` (interfaces.md, "Benchmark figures").

    python -m tests.benchmarks               all
    python -m tests.benchmarks "name,name"   only these

Every run has a throw-away database on PostgreSQL (and Redis): those of this machine, or its own.
"""

import contextlib
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from tests.services import SECRET_KEY, Missing, database, own_redis, postgresql

ROOT = Path(__file__).resolve().parent.parent.parent
BUSY = 10  # per cent of the machine that others may use before a figure says so
# name: what measures it, and whether its limit is the most or the least it may be
BENCHMARKS = {
    "sweep_10k_of_100k_vs_raw": ("tests.benchmarks.sweep:measure", "<="),
    "archive_search_p95_ms": ("tests.benchmarks.archive:measure", "<="),
    "start_dialog_statements": ("tests.benchmarks.starts:measure", "<="),
    "leave_message_vs_raw": ("tests.benchmarks.messages:measure_left", ">="),
    "leave_message_statements": ("tests.benchmarks.messages:measure_statements", "<="),
    "leave_message_redis_calls": ("tests.benchmarks.messages:measure_redis", "<="),
    "leave_message_cpu_ratio": ("tests.benchmarks.messages:measure_cpu", "<="),
    "answer_vs_raw": ("tests.benchmarks.messages:measure_answers", ">="),
    "widget_bytes": ("tests.benchmarks.wire:measure", "<="),
    "presence_beats_vs_raw": ("tests.benchmarks.beats:measure_ratio", ">="),
    "presence_beats_per_s": ("tests.benchmarks.beats:measure_rate", ""),
    "stream_kib_each": ("tests.benchmarks.held:measure_memory", "<="),
    "restart_storm_s": ("tests.benchmarks.held:measure_storm", "<="),
    "hint_p99_ms": ("tests.benchmarks.held:measure_hint", "<="),
    "operators_signs_ms": ("tests.benchmarks.signs:measure", ""),
    "deadline_lateness_p99_s": ("tests.benchmarks.lateness:measure_lateness", "<="),
    "deadline_early": ("tests.benchmarks.lateness:measure_early", "<="),
    "assign_10k_s": ("tests.benchmarks.queues:measure_all", "<="),
    "assign_one_busy_ms": ("tests.benchmarks.queues:measure_one", "<="),
    "panel_delta_vs_bare": ("tests.benchmarks.panels:measure_delta", "<="),
    "panel_full_vs_bare": ("tests.benchmarks.panels:measure_full", "<="),
    "panel_supervisor_vs_bare": ("tests.benchmarks.panels:measure_supervisor", "<="),
    "panel_supervisor_delta_vs_bare": ("tests.benchmarks.panels:measure_supervisor_delta", "<="),
    "hint_storm_vs_bare": ("tests.benchmarks.panels:measure_storm", "<="),
    "panel_100_ms": ("tests.benchmarks.queues:measure_panel_100", ""),
    "panel_10k_ms": ("tests.benchmarks.queues:measure_panel_10k", ""),
    "panel_100k_ms": ("tests.benchmarks.queues:measure_panel_100k", "<="),
    "sweep_10k_of_1m_vs_raw": ("tests.benchmarks.sweep:measure_million", "<="),
    "sweep_10k_of_1m_vs_one_statement": ("tests.benchmarks.sweep:measure_one_statement", "<="),
    "sweep_idle_ms": ("tests.benchmarks.sweep:measure_idle", "<="),
    "idle_cpu_percent": ("tests.benchmarks.idle:measure_cpu", "<="),
    "idle_mib": ("tests.benchmarks.idle:measure_memory", "<="),
    "idle_production_cpu_percent": ("tests.benchmarks.idle:measure_production_cpu", "<="),
    "idle_production_mib": ("tests.benchmarks.idle:measure_production_memory", "<="),
}


@dataclass(frozen=True)
class Figure:
    """One line of var/bench.jsonl."""

    name: str
    value: float
    unit: str
    note: str


@contextlib.contextmanager
def service_of_its_own() -> Iterator[None]:
    """Django set up on an empty, migrated PostgreSQL database and a Redis; nothing of it stays."""
    name = f"webim_offline_bench_{os.getpid()}"
    with postgresql() as address, own_redis() as broker, database(address, name) as url, tempfile.TemporaryDirectory() as folder:
        for ours in ("EMAIL_URL", "PUBLIC_URL", "DEBUG"):
            os.environ.pop(ours, None)
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "webim_offline.settings",
            "DATABASE_URL": url,
            "REDIS_URL": f"{broker}/0",
            "SECRET_KEY": SECRET_KEY,
            "VAR_DIR": folder,
        }
        import django
        from django.core.management import call_command
        from django.db import connections

        django.setup()
        call_command("migrate", verbosity=0, interactive=False)
        try:
            yield
        finally:
            connections.close_all()


def chosen(words: str) -> dict[str, tuple[str, str]]:
    names = [word.strip() for word in words.split(",") if word.strip()] or list(BENCHMARKS)
    if unknown := set(names) - set(BENCHMARKS):
        raise SystemExit(f"No benchmark {', '.join(sorted(unknown))}; there are: {', '.join(BENCHMARKS)}")
    return {name: BENCHMARKS[name] for name in names}


def main(words: str) -> int:
    from importlib import import_module

    wanted = chosen(words)
    figures: list[Figure] = []
    lines: list[str] = []
    missed = False
    with service_of_its_own():
        for name, (place, side) in wanted.items():
            others = psutil.cpu_percent(interval=1)
            print(f"{name} ...", file=sys.stderr, flush=True)
            module, _, function = place.partition(":")
            measure: Callable[[], tuple[float, str, str, float | None]] = getattr(import_module(module), function)
            try:
                value, unit, note, limit = measure()
            except Exception as error:  # noqa: BLE001 - one that breaks must not take the other figures with it
                traceback.print_exc()
                lines.append(f"{name:<36} {'FAILED':>10} {' '.join(str(error).split())[:300] or type(error).__name__}")
                missed = True
                continue
            if others >= BUSY:
                note += f"; the machine was {others:.0f} % busy with other things before"
            figure = Figure(name, round(value, 3), unit, note)
            figures.append(figure)
            bad = limit is not None and (figure.value > limit if side == "<=" else figure.value < limit)
            missed |= bad
            reach = f"{side} {limit:g}" if limit is not None else ""
            lines.append(f"{name:<36} {figure.value:>10g} {unit:<8} {reach:>9}  {note}{'  MISSED' if bad else ''}")
    target = ROOT / "var" / "bench.jsonl"
    target.parent.mkdir(exist_ok=True)
    target.write_text("".join(json.dumps(asdict(figure)) + "\n" for figure in figures))
    print(f"{'name':<36} {'value':>10} {'unit':<8} {'to reach':>9}  note")
    print("\n".join(lines))
    return int(missed)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
    except Missing as package:
        sys.exit(f"{package} is not installed (make test-deps)")
