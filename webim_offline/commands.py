"""How each process is started: modules of Python with their arguments, as docs/deploy.md tells them."""

CELERY = ("celery", "-q", "-A", "webim_offline")
WORKER = ("worker", "--pool=solo", "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=WARNING")
# of any server of the live app. X-Forwarded-For is ours to judge (TRUSTED_PROXIES); whoever sends the head of a request or
# reads an answer too slowly is cut off; the WebSocket implementation that costs least a stream, and frames no larger than
# streams.LARGEST_FRAME
LIVE_OPTIONS = (
    "--http=webim_offline.http_protocol:PatientProtocol",
    *("--lifespan=on", "--no-proxy-headers", "--no-server-header", "--no-access-log", "--log-level=warning", "--workers=1"),
    *("--ws=websockets-sansio", "--ws-per-message-deflate=false", "--ws-max-size=8192", "--ws-max-queue=8"),
    "--timeout-graceful-shutdown=2",  # held polls and streams would keep a longer shutdown waiting
)
# what is forked: the same without `celery` around it
WORKERS = {
    "clock worker": ("webim_offline.celery_commands", *WORKER, "--queues=clock", "--hostname=clock@%h"),
    "mail worker": ("webim_offline.celery_commands", *WORKER, "--queues=mail", "--hostname=mail@%h"),
    "beat": ("webim_offline.celery_commands", "beat", "--loglevel=WARNING"),
}
# what `ps` shows of a forked process
TITLES = {
    "web": ("uvicorn", "webim_offline.asgi:application"),
    "clock worker": ("celery", "worker", "--queues=clock"),
    "mail worker": ("celery", "worker", "--queues=mail"),
    "beat": ("celery", "beat"),
}
