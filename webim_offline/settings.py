"""Settings. Embedded by default (SQLite, no broker); DATABASE_URL makes it a production start, REDIS_URL adds Redis."""

import os
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from webim_offline.foundation import environment as env
from webim_offline.foundation import private_files
from webim_offline.foundation.encryption import is_local

# before anything is written: what we make, and those whom we start, is our own user's alone. Every entrance comes by here.
os.umask(0o077)
BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(env.text("VAR_DIR", str(BASE_DIR / "var")))

DATABASE_URL = env.text("DATABASE_URL")
REDIS_URL = env.redis_url("REDIS_URL")
EMBEDDED = not DATABASE_URL
if EMBEDDED:
    private_files.close_folder(VAR_DIR)
DATABASES = {"default": env.database(DATABASE_URL, VAR_DIR / "webim_offline.sqlite3")}

WEB_STATEMENT_TIMEOUT = 10.0  # seconds of one statement of a page, on PostgreSQL
# seconds for which a transaction may stand still between two statements, on PostgreSQL: then it is ended, and its locks with it
IDLE_TRANSACTION_TIMEOUT = 60.0

HOST = env.text("HOST", "127.0.0.1")
PORT = env.port("PORT", 8000)
PUBLIC_URL = env.public_url(f"http://{f'[{HOST}]' if ':' in HOST else HOST}:{PORT}")
PUBLIC_HOST = urlsplit(PUBLIC_URL).hostname or "localhost"

DEBUG = env.flag("DEBUG")
if DEBUG and not EMBEDDED:
    raise env.Refused("DEBUG is on: a production start (DATABASE_URL is set) refuses it.")
OTHERS_COME = not (EMBEDDED and is_local(HOST) and is_local(PUBLIC_HOST))
SECRET_KEY = env.secret("SECRET_KEY", embedded=EMBEDDED, folder=VAR_DIR, strong=OTHERS_COME)
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS") or sorted({"127.0.0.1", "localhost", "[::1]", HOST, PUBLIC_HOST})
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES")
STREAMS_PER_ADDRESS = env.count("STREAMS_PER_ADDRESS", 2000)  # streams and polls that one live process holds for one network
METRICS_ALLOW = env.networks("METRICS_ALLOW", "127.0.0.0/8,::1")

MAIL_SERVER = env.mail_server(env.text("EMAIL_URL"))
EMAIL_FROM = env.sender("EMAIL_FROM", env.default_sender(PUBLIC_URL))

INSTALLED_APPS = [
    "operators",
    "dialogs",
    "notifications",
    # processes that make no pages need not load what the admin shows
    "django.contrib.admin.apps.SimpleAdminConfig" if env.flag("WITHOUT_ADMIN") else "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "csp",
    "django_celery_beat",
]

MIDDLEWARE = [
    "webim_offline.foundation.http.security_headers.middleware",  # outermost: errors of the others need them too
    "django.middleware.security.SecurityMiddleware",
    "webim_offline.foundation.static_files.StaticFilesMiddleware",
    # pages and answers of the API; random bytes are added, so that lengths tell nobody what stands beside their words (BREACH)
    "django.middleware.gzip.GZipMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.middleware.common.CommonMiddleware",
    "webim_offline.foundation.database.web_statements.web_statements_middleware",
    "webim_offline.foundation.http.input_check.InputMiddleware",
    "webim_offline.foundation.http.bare_addresses.bare_addresses_middleware",
    # from here on for BARE_ADDRESSES no more
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "operators.authentication.session_ages.session_age_middleware",
    "operators.middleware.page_middleware",
    "operators.middleware.HashingLimit",
    "django.contrib.messages.middleware.MessageMiddleware",
]
# no cookie is read or written below these: other people's pages, every cache on the way, and probes ask for them
BARE_ADDRESSES = ("/widget/", "/workspace/scripts/", "/static/", "/healthz", "/metrics")

ROOT_URLCONF = "webim_offline.urls"
WSGI_APPLICATION = "webim_offline.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

if REDIS_URL:
    CACHES = {"default": {"BACKEND": "webim_offline.foundation.shared_cache.SharedCache", "LOCATION": REDIS_URL, "VERSION": 2}}
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

AUTH_USER_MODEL = "operators.Operator"
AUTHENTICATION_BACKENDS = ["operators.backends.OperatorBackend"]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
PASSWORD_HASHERS = ["operators.authentication.hashers.Argon2", "operators.authentication.hashers.Pbkdf2"]
AUTH_PASSWORD_VALIDATORS = [{"NAME": "operators.authentication.password_rules.PasswordRules"}]

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("ru", _("Russian"))]
LOCALE_PATHS = [BASE_DIR / "webim_offline" / "locale"]
TIME_ZONE = env.time_zone("TIME_ZONE")
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "webim_offline.foundation.static_files.CompressedStorage",
        # whoever collects them, whoever serves them: they are public, and the umask is not
        "OPTIONS": {"file_permissions_mode": 0o644, "directory_permissions_mode": 0o755},
    },
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_MAX_AGE = 60

# X3: stated defaults, "count/period"; Retry-After tells the client when to come again. A network is an IPv4 address or an
# IPv6 /64: a whole office may stand behind one.
DEFAULT_RATE_LIMITS = {
    "visitor_session": "600/min",  # a network: pages that begin, and fresh tickets
    "visitor_read": "120/min",  # a visitor: readings of the conversation; each hint makes every page of theirs read once
    "visitor_read_address": "1200/min",  # a network: the same
    "unknown_token": "60/min",  # a network: tokens of visitors that are not known here
    "dialog_start_visitor": "10/min",  # a visitor
    "dialog_start_address": "60/min",  # a network
    "visitor_write": "120/min",  # a visitor: messages, contacts, ends
    "operator_write": "120/min",  # an operator: answers, takes, transfers, closes, statuses, switches
    "operator_search": "60/min",  # an operator: pages of the archive, and of the admin's lists when searched or filtered
    # of signing in, counted before a password is looked at; the right one is given back
    "login_network": "20/min",  # from one client network, whatever the names
    "login_failures": "10/min",  # with one name from one network
    "login_name": "100/min",  # with one name from everywhere
    "login_browser": "10/min",  # with one name in a browser that has signed in with it before: instead of the three above
    # the own password asked for again, of somebody who is signed in
    "own_password": "10/min",  # from one network
    "own_password_anywhere": "100/min",
}
RATE_LIMITS = env.rate_limits("RATE_LIMITS", DEFAULT_RATE_LIMITS)
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "UNAUTHENTICATED_USER": None,
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024

# Celery only starts the runners (RUNNER_SCHEDULE): whatever must happen is a row that is still due.
BROKER_DIR = VAR_DIR / "broker"
if REDIS_URL:
    CELERY_BROKER_URL = REDIS_URL
else:
    CELERY_BROKER_URL = "folder://localhost"  # webim_offline.foundation.broker
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(BROKER_DIR),
        "data_folder_out": str(BROKER_DIR),
        "polling_interval": 0.1,
    }
# whoever can write to the broker must not be able to run anything in a worker: nothing is unpickled
CELERY_ACCEPT_CONTENT = CELERY_RESULT_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = CELERY_RESULT_SERIALIZER = CELERY_EVENT_SERIALIZER = "json"
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_EXPIRES = None  # there are no results, so none to clean up
CELERY_TASK_DEFAULT_QUEUE = "clock"
CELERY_TASK_ROUTES = {"notifications.tasks.send_letters": {"queue": "mail"}}
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
# what the runner of each queue does, and how often (seconds): `webim_offline.runner`
RUNNER_SCHEDULE = {
    "clock": {
        "dialogs.tasks.advance_dialogs": 1.0,
        "dialogs.tasks.end_lost_visits": 1.0,
        "operators.tasks.record_expiries": 1.0,
        "dialogs.tasks.assign_dialogs": 1.0,
        "dialogs.tasks.apply_setting_changes": 1.0,
        "notifications.tasks.write_letters": 1.0,
        "dialogs.tasks.forget_visitors": 60.0,
        "operators.tasks.clear_expired_sessions": 600.0,
    },
    # sending a letter may take long, so it has a queue, and a worker, of its own
    "mail": {"notifications.tasks.send_letters": 1.0},
}
CELERY_IMPORTS = ("webim_offline.runner",)
CELERY_BEAT_SCHEDULER = "webim_offline.beat:RunnerScheduler"
# whenever a queue has no runner, beat sends this once a second
CELERY_BEAT_SCHEDULE = {
    f"start the runner of {queue}": {
        "task": "webim_offline.runner.run",
        "schedule": 1.0,
        "args": (queue,),
        "options": {"queue": queue, "expires": 3},
    }
    for queue in RUNNER_SCHEDULE
}

CONTENT_SECURITY_POLICY = {
    "EXCLUDE_URL_PREFIXES": ["/widget/"],
    "DIRECTIVES": {
        "default-src": [SELF],
        # not every browser takes 'self' for WebSockets too
        "connect-src": [SELF, PUBLIC_URL.replace("http", "ws", 1)],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    },
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "webim_offline.foundation.http.errors.csrf_failure"
# signed in: until so long without a request, and never longer than that after signing in
SESSION_ENGINE = "operators.authentication.session_store"
SESSION_IDLE = timedelta(days=3)  # somebody who works on Friday is still signed in on Monday
SESSION_LONGEST = timedelta(days=14)
SESSION_COOKIE_AGE = 14 * 86400  # of sessions in which nobody has signed in
# what opens or shuts a door (operators.confirmation) asks for the own password if it was not given in the last so long
CONFIRMATION_LASTS = timedelta(minutes=10)
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
if PUBLIC_URL.startswith("https://"):
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_SSL_REDIRECT = env.flag("SSL_REDIRECT", default=True)
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^metrics$"]  # probed from beside, without TLS
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = env.flag("HSTS_SUBDOMAINS", default=True)
    CSRF_TRUSTED_ORIGINS = [PUBLIC_URL.rsplit("/", PUBLIC_URL.count("/") - 2)[0]]

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "webim_offline.foundation.logs.lines.OneLine", "format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}
    },
    "filters": {
        # a prober asks every second, and what is unwell says so itself
        "healthz_is_quiet": {
            "()": "django.utils.log.CallbackFilter",
            "callback": lambda record: getattr(getattr(record, "request", None), "path", "") != "/healthz",
        },
        "outages_are_short": {"()": "webim_offline.foundation.logs.outages.InALine"},
        "requests_are_short": {"()": "webim_offline.foundation.logs.lines.RequestsInShort"},
        "texts_stay_out": {"()": "webim_offline.foundation.logs.private.TextsStayOut"},
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["healthz_is_quiet", "outages_are_short", "requests_are_short", "texts_stay_out"],
        }
    },
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        **{name: {"level": "INFO"} for name in ("operators", "dialogs", "notifications", "webim_offline", "security")},
        # servers and Django bring handlers of their own, whose lines a client could forge
        **{
            name: {"level": "WARNING", "handlers": [], "propagate": True}
            for name in ("django", "django.server", "uvicorn", "uvicorn.error", "uvicorn.access", "_granian", "granian.access")
        },
    },
}
