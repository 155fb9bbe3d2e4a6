"""Letters: written by the clock worker, sent by the mail worker."""

from celery import shared_task


@shared_task
def write_letters() -> int:
    return 0


@shared_task
def send_letters() -> int:
    return 0
