"""`make fuzz`: new random histories on all cores, until the time is over or one of them shows a difference.

python -m tests.model.fuzz MINUTES [SEED]   exit status 1 upon a finding, printed in its shortest replayable form
python -m tests.model.fuzz --replay FILE    lives the histories of a file through, one a line
python -m tests.model.fuzz --record FILE    writes 200 histories, chosen for their variety, into a file (see recording.py)
"""

import os
import random
import subprocess
import sys
import time

APART = 1_000_000  # between the seeds of two processes


def hunt(*options: str, **environment: str) -> subprocess.Popen[bytes]:
    """One process of pytest; on SQLite unless DATABASE_URL says otherwise."""
    command = [sys.executable, "-m", "pytest", "-s", "--tb=short", "tests/model/hunt.py", *options]
    return subprocess.Popen(command, env=os.environ | environment)


def main(minutes: float, seed: int) -> int:
    """Hunt with one process for each core; the first finding ends all."""
    print(f"{minutes:g} minutes from seed {seed}", flush=True)
    cores = os.cpu_count() or 1
    hunters = [hunt("-k", "test_hunt", HUNT_SECONDS=str(minutes * 60), HUNT_SEED=str(seed + core * APART)) for core in range(cores)]
    while all(hunter.poll() is None or hunter.returncode == 0 for hunter in hunters):
        if all(hunter.poll() is not None for hunter in hunters):
            return 0
        time.sleep(0.5)
    for hunter in hunters:
        hunter.terminate()
    return 1


if __name__ == "__main__":
    if sys.argv[1] == "--replay":
        sys.exit(hunt("-k", "test_replay", HISTORIES=sys.argv[2]).wait())
    if sys.argv[1] == "--record":
        sys.exit(hunt("-k", "test_record", RECORD=sys.argv[2], HUNT_SEED=str(random.randrange(APART))).wait())
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(APART)))
