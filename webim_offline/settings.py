"""Settings. Embedded by default (SQLite, no broker); DATABASE_URL makes it a production start, REDIS_URL adds Redis."""

from pathlib import Path
from urllib.parse import urlsplit

from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from webim_offline import environment as env

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(env.text("VAR_DIR", str(BASE_DIR / "var")))

DATABASE_URL = env.text("DATABASE_URL")
REDIS_URL = env.redis_url("REDIS_URL")
EMBEDDED = not DATABASE_URL
DATABASES = {"default": env.database(DATABASE_URL, VAR_DIR / "webim_offline.sqlite3")}

HOST = env.text("HOST", "127.0.0.1")
PORT = env.port("PORT", 8000)
PUBLIC_URL = env.public_url(f"http://{f'[{HOST}]' if ':' in HOST else HOST}:{PORT}")
PUBLIC_HOST = urlsplit(PUBLIC_URL).hostname or "localhost"

DEBUG = env.flag("DEBUG")
if DEBUG and not EMBEDDED:
    raise env.Refused("DEBUG is on: a production start (DATABASE_URL is set) refuses it.")
SECRET_KEY = env.secret("SECRET_KEY", embedded=EMBEDDED, folder=VAR_DIR)
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
    "django.contrib.admin",
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
    "webim_offline.security_headers.middleware",  # outermost: errors of the others need them too
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "operators.middleware.page_middleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

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
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

AUTH_USER_MODEL = "operators.Operator"
AUTHENTICATION_BACKENDS = ["operators.backends.OperatorBackend"]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher", "django.contrib.auth.hashers.PBKDF2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("ru", _("Russian"))]
LOCALE_PATHS = [BASE_DIR / "webim_offline" / "locale"]
TIME_ZONE = env.time_zone("TIME_ZONE")
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
WHITENOISE_USE_FINDERS = True
WHITENOISE_MAX_AGE = 60

# X3: stated defaults of the write limits, "count/period"; Retry-After tells the client when to come again.
RATE_LIMITS = {
    "visitor_session": "600/min",
    "dialog_start_visitor": "10/min",
    "dialog_start_address": "60/min",
    "visitor_write": "120/min",
    "login_failures": "10/min",
}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "UNAUTHENTICATED_USER": None,
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024

# Celery only rings the bell: whatever must happen is a row that is still due.
BROKER_DIR = VAR_DIR / "broker"
if REDIS_URL:
    CELERY_BROKER_URL = REDIS_URL
else:
    CELERY_BROKER_URL = "folder://localhost"  # webim_offline.broker
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(BROKER_DIR),
        "data_folder_out": str(BROKER_DIR),
        "polling_interval": 0.1,
    }
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_EXPIRES = None  # there are no results, so none to clean up
CELERY_TASK_DEFAULT_QUEUE = "clock"
CELERY_TASK_ROUTES = {"notifications.tasks.send_letters": {"queue": "mail"}}
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "dialogs.beat:PulseScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 1
CELERY_BEAT_SCHEDULE = {
    name: {"task": task, "schedule": 1.0, "options": {"expire_seconds": 3, "queue": queue}}
    for name, task, queue in (
        ("ring due deadlines", "dialogs.tasks.advance_dialogs", "clock"),
        ("end lost visits", "dialogs.tasks.end_lost_visits", "clock"),
        ("record expired workspaces", "operators.tasks.record_expiries", "clock"),
        ("assign waiting dialogs", "dialogs.tasks.assign_dialogs", "clock"),
        ("apply changed settings", "dialogs.tasks.apply_setting_changes", "clock"),
        ("write due letters", "notifications.tasks.write_letters", "clock"),
        ("send due letters", "notifications.tasks.send_letters", "mail"),
    )
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
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "filters": {
        # a prober asks every second, and what is unwell says so itself
        "healthz_is_quiet": {
            "()": "django.utils.log.CallbackFilter",
            "callback": lambda record: getattr(getattr(record, "request", None), "path", "") != "/healthz",
        },
        "outages_are_short": {"()": "webim_offline.outage_log.InALine"},
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["healthz_is_quiet", "outages_are_short"]}
    },
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {name: {"level": "INFO"} for name in ("operators", "dialogs", "notifications", "webim_offline", "security")},
}
