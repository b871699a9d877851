"""Settings, all from the environment; the README has the table."""

import os
from pathlib import Path

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from drcaptcha import administration
from drcaptcha import environment as env

STATE = Path(env.text("DRCAPTCHA_STATE", "var")).absolute()
STATE.mkdir(parents=True, exist_ok=True)

PRODUCTION = env.choice("DRCAPTCHA_ENV", "development", ("development", "production")) == "production"
DEBUG = env.flag("DRCAPTCHA_DEBUG")
if PRODUCTION and DEBUG:
    raise ImproperlyConfigured("DRCAPTCHA_DEBUG must be off in production: it shows the program's inside to visitors.")

SECRET_KEY = env.secret_key(production=PRODUCTION, state=STATE)
SECRET_KEY_FALLBACKS = env.words("DRCAPTCHA_OLD_SECRET_KEYS")

ALLOWED_HOSTS = env.words("DRCAPTCHA_HOSTS")
if PRODUCTION and not ALLOWED_HOSTS:
    raise ImproperlyConfigured("DRCAPTCHA_HOSTS must name the hosts that this server answers for, between commas.")
if "*" in ALLOWED_HOSTS:
    raise ImproperlyConfigured("DRCAPTCHA_HOSTS must name hosts; * would let anyone forge the address of this server.")
ALLOWED_HOSTS += ["localhost", "127.0.0.1", "[::1]"]
HTTPS = env.flag("DRCAPTCHA_HTTPS") or (PRODUCTION and not env.text("DRCAPTCHA_HTTPS"))
CSRF_TRUSTED_ORIGINS = [f"https://{'*' * host.startswith('.')}{host}" for host in ALLOWED_HOSTS] if HTTPS else []
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# What DrCaptcha does; each name here has its line in the README's table.
DRCAPTCHA_EMNIST = env.text("DRCAPTCHA_EMNIST")
DRCAPTCHA_ALPHABET = env.choice("DRCAPTCHA_ALPHABET", "balanced", ("balanced", "byclass"))
DRCAPTCHA_AGREEMENT = env.number("DRCAPTCHA_AGREEMENT", 2, least=1)
DRCAPTCHA_ACCEPT = env.share("DRCAPTCHA_ACCEPT", 0.995, least=0.5)
DRCAPTCHA_MIN_CONTROLS = env.number("DRCAPTCHA_MIN_CONTROLS", 500, least=4)
DRCAPTCHA_POOL = env.number("DRCAPTCHA_POOL", 1000)
DRCAPTCHA_DIFFICULTY = env.choice("DRCAPTCHA_DIFFICULTY", "normal", ("easy", "normal", "hard"))
DRCAPTCHA_HARDEN = env.flag("DRCAPTCHA_HARDEN")
DRCAPTCHA_CHALLENGE_SECONDS = env.number("DRCAPTCHA_CHALLENGE_SECONDS", 300, least=10)
DRCAPTCHA_RETRAIN = env.text("DRCAPTCHA_RETRAIN", "off")
DRCAPTCHA_RETRAIN_NETWORKS = env.words("DRCAPTCHA_RETRAIN_NETWORKS") or ["compact", "slim"]
DRCAPTCHA_RETRAIN_MINUTES = env.number("DRCAPTCHA_RETRAIN_MINUTES", 0)
DRCAPTCHA_RATE = env.number("DRCAPTCHA_RATE", 60)
DRCAPTCHA_SITE_RATE = env.number("DRCAPTCHA_SITE_RATE", 3000)
DRCAPTCHA_WORK = env.number("DRCAPTCHA_WORK", 13)
DRCAPTCHA_AUDIO = env.flag("DRCAPTCHA_AUDIO") or not env.text("DRCAPTCHA_AUDIO")
DRCAPTCHA_RETENTION_DAYS = env.number("DRCAPTCHA_RETENTION_DAYS", 30, least=2)
DRCAPTCHA_PROXIES = env.number("DRCAPTCHA_PROXIES", 0)
DRCAPTCHA_TEST_KEYS = env.flag("DRCAPTCHA_TEST_KEYS") or not (PRODUCTION or env.text("DRCAPTCHA_TEST_KEYS"))

INSTALLED_APPS = [
    "drcaptcha.pages",
    "drcaptcha.api",
    "drcaptcha.challenges",
    "drcaptcha.labelling",
    "drcaptcha.learning",
    "drcaptcha.glyphs",
    "drcaptcha.sites",
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_tasks",
    "django_tasks_db",
]

MIDDLEWARE = [
    "drcaptcha.observing.probes",
    "drcaptcha.observing.observed",
    "drcaptcha.api.middleware.cross_origin",
    "drcaptcha.api.middleware.json_errors",
    "drcaptcha.api.direct.direct",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "drcaptcha.pages.middleware.Sessions",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "drcaptcha.pages.middleware.Authentication",
    "drcaptcha.pages.middleware.Messages",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "drcaptcha.pages.middleware.content_security_policy",
    "drcaptcha.pages.middleware.Unready",
]

ROOT_URLCONF = "drcaptcha.urls"
LOGIN_REDIRECT_URL = "admin:index"
WSGI_APPLICATION = "drcaptcha.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTHENTICATION_BACKENDS = ["drcaptcha.api.logins.LimitedBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASE_URL = env.text("DATABASE_URL")
DATABASES = {
    "default": (
        dj_database_url.parse(DATABASE_URL)
        if DATABASE_URL
        else {"ENGINE": "django.db.backends.sqlite3", "NAME": STATE / "drcaptcha.sqlite3"}
    )
    | {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True},
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        # A writer takes its lock at once, so that two of them wait for each other and neither fails midway.
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        # 16 MB of log are written back at a time: pages that every visitor changes are in it many times.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16000; "
        "PRAGMA wal_autocheckpoint=64000;",
    }

REDIS_URL = env.text("REDIS_URL")
CACHES = {
    "default": (
        {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            # Where it hangs, nobody waits for long.
            "OPTIONS": {"socket_timeout": 1, "socket_connect_timeout": 1},
        }
        if REDIS_URL
        else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 100_000}}
    ),
    # What the first page shows, in each process: it is there without Redis.
    "pages": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "pages"},
}

TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}

UNFOLD = administration.UNFOLD

LANGUAGE_CODE = "en"
FORMAT_MODULE_PATH = "drcaptcha.administration.formats"
USE_TZ = True
TIME_ZONE = "UTC"

MEDIA_ROOT = STATE / "media"
DRCAPTCHA_CHECKPOINTS = STATE / "checkpoints"
DRCAPTCHA_RUNS = STATE / "runs"
DRCAPTCHA_TALLIES = STATE / "tallies"
DRCAPTCHA_TURNS = STATE / "turns"
DRCAPTCHA_METRICS = STATE / "metrics"
DRCAPTCHA_METRICS.mkdir(exist_ok=True)
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(DRCAPTCHA_METRICS)  # Read when the client is imported.
DRCAPTCHA_METRICS_TOKEN = env.text("DRCAPTCHA_METRICS_TOKEN")
STATIC_URL = "/static/"
STATIC_ROOT = STATE / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "drcaptcha.pages.storage.StaticFiles"},
}
WHITENOISE_USE_FINDERS = DEBUG

# A phone's photograph fits; a film does not.
DATA_UPLOAD_MAX_MEMORY_SIZE = 12 * 2**20

LOG = env.choice("DRCAPTCHA_LOG", "json" if PRODUCTION else "text", ("json", "text"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"},
        "json": {"()": "drcaptcha.logs.JsonLines"},
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": LOG}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "drcaptcha": {"level": "INFO"},
        "drcaptcha.requests": {"level": "INFO" if LOG == "json" else "WARNING"},
        "django_tasks": {"level": "INFO"},
    },
}
