"""`python -m webim_offline.workers`: clock worker, mail worker and beat of a production machine, forked from one process.

They are the processes that the commands of docs/deploy.md start one by one, as separate as there: each has its own connections,
and a mail server that hangs stops no clock. They share the memory of the code. SIGTERM ends them as it ends each alone.
"""

import os

os.environ["WITHOUT_ADMIN"] = "1"

from webim_offline.children import CAN_FORK, Child, ModuleChild, Wake, end, freeze, keep
from webim_offline.commands import TITLES, WORKERS

if CAN_FORK:
    from webim_offline import loaded  # noqa: F401 - the children share it

GRACE = 80.0  # seconds to end in an orderly way: a letter may take so long


def run() -> None:
    """Keep the three running until SIGINT, SIGTERM or SIGHUP."""
    wake = Wake()
    children: list[Child] = []
    try:
        if CAN_FORK:
            freeze()
        for name, command in WORKERS.items():
            children.append(ModuleChild(name, command, TITLES[name]))
        keep(children, wake)
    finally:
        end(children, GRACE)


if __name__ == "__main__":
    run()
