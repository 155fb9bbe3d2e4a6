"""`python -m webim_offline.celery_commands worker ...` and `... beat ...`: Celery's two commands, with the options of `celery`.

`celery` itself loads all of its commands, among them an interactive shell, and has Django check the code with every page of it.
That costs each process memory that nobody uses.
"""

import os
import sys

from celery.bin.base import CLIContext
from celery.bin.beat import beat
from celery.bin.worker import worker

from webim_offline.celery import app

COMMANDS = {"worker": worker, "beat": beat}

if __name__ == "__main__":
    os.environ["CELERY_SKIP_CHECKS"] = "true"  # as `celery --skip-checks` does
    program, name, *arguments = sys.argv
    context = CLIContext(app=app, no_color=True, workdir=None, quiet=True)
    COMMANDS[name].main(arguments, prog_name=f"celery {name}", obj=context)
