"""All settings, read from the environment. docs/operations/settings.md describes each one."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

# What the embedded services' launcher wrote; the environment itself wins over it.
_services = Path(env.str("AGENTSTORE_SERVICES_ENV", str(BASE_DIR / ".run" / "services.env")))
if _services.is_file():
    env.read_env(str(_services), overwrite=False)

TESTING = "pytest" in sys.modules
DEBUG = env.bool("DEBUG", False)
# "live" refuses everything that is only safe on a developer's machine (see agentstore/checks.py).
MODE = env.str("AGENTSTORE_MODE", "development")
LIVE = MODE == "live"
SECRET_KEY = env.str("SECRET_KEY", "" if LIVE else "development-only-secret-key-never-for-live-use-0000")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]", "testserver"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
SITE_URL = env.str("SITE_URL", "http://127.0.0.1:8000")
SITE_NAME = env.str("SITE_NAME", "Agent Store")

# Where running parts meet: Unix sockets of sandboxes and gateway. Short, since their paths have 107 bytes.
RUN_DIR = Path(env.str("AGENTSTORE_RUN_DIR", str(Path(tempfile.gettempdir()) / f"agentstore-{os.getuid()}")))
# What must outlive a restart and is not in the database: bundles, photographs, the search index.
DATA_DIR = Path(env.str("AGENTSTORE_DATA_DIR", str(BASE_DIR / ".run" / "data")))
# The store's own synonyms, beside the shipped ones; none without a path.
SEARCH_SYNONYMS = env.str("SEARCH_SYNONYMS", "")

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.forms",
    "django.contrib.postgres",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "csp",
    "django_htmx",
    "template_partials",
    "rest_framework",
    "drf_spectacular",
    "agentstore",
    "agentstore.identity",
    "billing",
    "sandbox",
    "marketplace.catalog",
    "marketplace.publishing",
    "marketplace.ranking",
    "marketplace.shopping",
    "marketplace.gateway",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "agentstore.kit.middleware.ZeroCharacterMiddleware",
    "agentstore.kit.middleware.StoreErrorMiddleware",
]

# The gateway process sets its own: only what a sandboxed agent may reach.
ROOT_URLCONF = env.str("AGENTSTORE_ROOT_URLCONF", "agentstore.urls")
GATEWAY_MIDDLEWARE = [
    "allauth.account.middleware.AccountMiddleware",  # allauth does not load without it
    "marketplace.gateway.middleware.ProblemMiddleware",
]
if ROOT_URLCONF == "marketplace.gateway.urls":
    # Behind that door there are no cookies, no forms and no pages.
    MIDDLEWARE = GATEWAY_MIDDLEWARE
ASGI_APPLICATION = "agentstore.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "agentstore.identity.context.workspaces",
                "marketplace.shopping.context.cart",
            ],
            "builtins": [
                "agentstore.kit.templatetags.kit",
                "agentstore.kit.templatetags.charts",
                "marketplace.catalog.templatetags.photos",
            ],
        },
    }
]

DATABASES = {
    "default": {
        **env.db_url("DATABASE_URL", default="postgres://agentstore@127.0.0.1:5432/agentstore"),
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
    }
}
if not TESTING:
    DATABASES["default"].setdefault("OPTIONS", {})["pool"] = {
        "min_size": 1,
        "max_size": env.int("DATABASE_POOL_SIZE", 16),
        "timeout": 15,
    }
# A developer may run several suites side by side on one server.
DATABASES["default"]["TEST"] = {"NAME": env.str("TEST_DATABASE_NAME", "test_agentstore")}
VALKEY_URL = env.str("VALKEY_URL", "redis://127.0.0.1:6379/0")
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": VALKEY_URL}}

AUTH_USER_MODEL = "identity.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
if TESTING:
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_CONFIRM_EMAIL_ON_GET = False
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = False
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if SITE_URL.startswith("https") else "http"
ACCOUNT_ADAPTER = "agentstore.identity.adapters.AccountAdapter"
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_LOGIN_BY_CODE_ENABLED = True
MFA_ADAPTER = "agentstore.identity.adapters.MfaAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = SITE_NAME
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not LIVE
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
EMAIL_CONFIG = env.email_url("EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", "Agent Store <store@localhost>")

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = BASE_DIR / "staticfiles"
MEDIA_ROOT = DATA_DIR / "media"
MEDIA_URL = "media/"
# Outside live mode files are served as they are now: a rebuilt style sheet is not cut to its old length.
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = not LIVE
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    # Agents' images. Hosts that share it share every image.
    "images": {
        "BACKEND": env.str("SANDBOX_IMAGE_STORAGE", "django.core.files.storage.FileSystemStorage"),
        "OPTIONS": env.json("SANDBOX_IMAGE_STORAGE_OPTIONS", {"location": str(DATA_DIR / "images")}),
    },
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if LIVE
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SITE_URL.startswith("https")
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", False)
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", 0)
BEHIND_PROXY = env.bool("BEHIND_PROXY", False)
# uvicorn reads the same variable: from whom it believes X-Forwarded-For, by which limits count. None: nobody said.
FORWARDED_ALLOW_IPS = env.list("FORWARDED_ALLOW_IPS", default=None)
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "agentstore.errors.csrf_failed"
FORM_RENDERER = "agentstore.kit.forms.StoreFormRenderer"
CONTENT_SECURITY_POLICY = {
    "EXCLUDE_URL_PREFIXES": ["/admin/"],
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "manifest-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    },
}

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "agentstore.kit.api.exception_handler",
}
SPECTACULAR_SETTINGS = {"TITLE": "Agent Store", "VERSION": "1", "SERVE_INCLUDE_SCHEMA": False}

CELERY_BROKER_URL = VALKEY_URL
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_ALWAYS_EAGER = False
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    "marketplace.catalog.tasks.index_*": {"queue": "index"},
    "marketplace.catalog.tasks.import_feed": {"queue": "bulk"},
    "marketplace.catalog.tasks.pull_feed": {"queue": "bulk"},
    "marketplace.catalog.tasks.undo_feed": {"queue": "bulk"},
    "sandbox.tasks.watch_hosts": {"queue": "default"},
    "sandbox.tasks.*": {"queue": "sandbox"},
    "marketplace.publishing.tasks.build_submission": {"queue": "sandbox"},
}
# Of workers that serve nothing but these.
PATIENT_QUEUES = {"bulk", "index"}
PATIENT_NICENESS = env.int("PATIENT_NICENESS", 10)
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,
    "global_keyprefix": env.str("CELERY_KEY_PREFIX", "agentstore:"),
}

# Tasks by name where a lower room's work goes on in a higher one.
REHEARSAL_TASK = "marketplace.shopping.tasks.rehearse_submission"
# What the processor tells of: by the beginning of our own reference on the object, else of the event's type.
PROCESSOR_REFERENCE_TASKS = {
    "topup:": "billing.tasks.settle_top_up_event",
    "repayment:": "billing.tasks.settle_repayment_event",
}
PROCESSOR_EVENT_TASKS = {
    "invoice.": "billing.tasks.settle_invoice_event",
    "payout.": "billing.tasks.settle_payout_event",
    "account.": "billing.tasks.settle_account_event",
    "payment_intent.": "marketplace.shopping.tasks.settle_payment_event",
    "charge.": "marketplace.shopping.tasks.settle_payment_event",
    "refund.": "marketplace.shopping.tasks.settle_payment_event",
}
# Who knows what a fee was for, when billing reconciles a day (billing.reconciliation.sources).
USAGE_SOURCES = ["marketplace.shopping.reconciling.ShoppingSource"]

# Sandbox
SANDBOX_DRIVER = env.str("SANDBOX_DRIVER", "runsc" if env.str("AGENTSTORE_ENGINE", "") == "none" else "auto")
SANDBOX_WARM_FLOOR = env.int("SANDBOX_WARM_FLOOR", 1)
SANDBOX_WARM_CEILING = env.int("SANDBOX_WARM_CEILING", 8)
SANDBOX_HOST = env.str("SANDBOX_HOST", "")
SANDBOX_MAX = env.int("SANDBOX_MAX", 24)
SANDBOX_MEMORY_MB = env.int("SANDBOX_MEMORY_MB", 0)
SANDBOX_HOST_LOST_SECONDS = env.int("SANDBOX_HOST_LOST_SECONDS", 60)
SANDBOX_PROOF_SECONDS = env.int("SANDBOX_PROOF_SECONDS", 3600)
SANDBOX_WAIT_SECONDS = env.int("SANDBOX_WAIT_SECONDS", 600)
# Where several hosts run sandboxes: at which address the others reach this one's, and how they know each other.
SANDBOX_DOOR_ADDRESS = env.str("SANDBOX_DOOR_ADDRESS", "")
SANDBOX_DOOR_BIND = env.str("SANDBOX_DOOR_BIND", "")
SANDBOX_DOOR_KEY = env.str("SANDBOX_DOOR_KEY", SECRET_KEY)
SANDBOX_DOOR_CONNECTIONS = env.int("SANDBOX_DOOR_CONNECTIONS", 512)
SANDBOX_DOOR_TLS_CERT = env.str("SANDBOX_DOOR_TLS_CERT", "")
SANDBOX_DOOR_TLS_KEY = env.str("SANDBOX_DOOR_TLS_KEY", "")
SANDBOX_DOOR_TLS_CA = env.str("SANDBOX_DOOR_TLS_CA", "")
METRICS_TOKEN = env.str("METRICS_TOKEN", "")
SANDBOX_STACK = env.str("SANDBOX_STACK", "")
SANDBOX_REVIEWED_RUNTIME = env.str("SANDBOX_REVIEWED_RUNTIME", "runc")
SANDBOX_UNTRUSTED_RUNTIME = env.str("SANDBOX_UNTRUSTED_RUNTIME", "runsc")
# Longer than any restart of the sandbox worker takes.
SANDBOX_DEAD_MAN_SECONDS = env.int("SANDBOX_DEAD_MAN_SECONDS", 300)
SANDBOX_IDLE_SECONDS = env.int("SANDBOX_IDLE_SECONDS", 900)
# The index that bundles' pinned requirements are fetched from; none: wheels are vendored.
SANDBOX_WHEEL_INDEX = env.str("SANDBOX_WHEEL_INDEX", "")
SANDBOX_IMAGE_GRACE_HOURS = env.int("SANDBOX_IMAGE_GRACE_HOURS", 24)
GATEWAY_SOCKET_DIR = RUN_DIR / "gateway"

# Publishing: what a developer may upload and ask for, and how soon an operator answers
BUNDLE_MAX_BYTES = env.int("BUNDLE_MAX_BYTES", 512 * 2**20)
BUNDLE_MAX_UNPACKED_BYTES = env.int("BUNDLE_MAX_UNPACKED_BYTES", 2 * 2**30)
BUNDLE_MAX_FILES = env.int("BUNDLE_MAX_FILES", 10_000)
AGENT_MAX_MEMORY_MB = env.int("AGENT_MAX_MEMORY_MB", 512)
AGENT_MAX_CPU = env.float("AGENT_MAX_CPU", 1.0)
AGENT_MAX_PROCESSES = env.int("AGENT_MAX_PROCESSES", 256)
AGENT_MAX_OPEN_FILES = env.int("AGENT_MAX_OPEN_FILES", 4096)
AGENT_MAX_DISK_MB = env.int("AGENT_MAX_DISK_MB", 256)
AGENT_MAX_START_SECONDS = env.int("AGENT_MAX_START_SECONDS", 30)
AGENT_MAX_TURN_SECONDS = env.int("AGENT_MAX_TURN_SECONDS", 60)
AGENT_MAX_ANSWER_KB = env.int("AGENT_MAX_ANSWER_KB", 4096)
AGENT_MAX_CALLS_PER_TURN = env.int("AGENT_MAX_CALLS_PER_TURN", 200)
# Known vulnerabilities: where `manage.py load_advisories` reads them, and the least severity that fails a check.
SANDBOX_ADVISORIES = env.str("SANDBOX_ADVISORIES", "")
SANDBOX_ADVISORY_FAILS = env.str("SANDBOX_ADVISORY_FAILS", "critical")
REVIEW_DUE_HOURS = env.int("REVIEW_DUE_HOURS", 72)
# How long a check waits for a free place beyond the agent's own time to start; then it is tried again later.
CHECK_PLACE_SECONDS = env.int("CHECK_PLACE_SECONDS", 45)

# Networks of the operator's own that may be spoken to, beside the public internet: feeds, photographs, UCP platforms.
FETCH_ALLOWED_NETWORKS = env.list("FETCH_ALLOWED_NETWORKS", default=[])

# Conversations
TURN_LEASE_SECONDS = env.int("TURN_LEASE_SECONDS", 15)
# P-256 private key (PEM) that signs UCP answers; without one it follows from the secret key.
UCP_SIGNING_KEY = env.str("UCP_SIGNING_KEY", "", multiline=True)
PSEUDONYM_KEY = env.str("PSEUDONYM_KEY", SECRET_KEY)

# Money
STORE_CURRENCY = env.str("STORE_CURRENCY", "USD")
STRIPE_API_KEY = env.str("STRIPE_API_KEY", "" if LIVE else "sk_test_standin")
STRIPE_API_BASE = env.str("STRIPE_API_BASE", "https://api.stripe.com" if LIVE else "http://127.0.0.1:8420")
STRIPE_WEBHOOK_SECRET = env.str("STRIPE_WEBHOOK_SECRET", "" if LIVE else "whsec_development")
STRIPE_CONNECT_WEBHOOK_SECRET = env.str("STRIPE_CONNECT_WEBHOOK_SECRET", "")
PPCV_QUARANTINE_SECONDS = env.int("PPCV_QUARANTINE_SECONDS", 600)
# Merchants' invoices: days to pay, and whether Stripe Tax works their tax out.
INVOICE_DUE_DAYS = env.int("INVOICE_DUE_DAYS", 14)
INVOICE_TAX = env.bool("INVOICE_TAX", True)
# Beyond these a fee waits for an operator: conversations of one shopper about a merchant in a day, fees of one
# studio at a merchant in ten minutes, and how soon after its card a conversation may end.
FRAUD_BUYER_CONVERSATIONS = env.int("FRAUD_BUYER_CONVERSATIONS", 10)
FRAUD_VELOCITY = env.int("FRAUD_VELOCITY", 1000)
FRAUD_INSTANT_SECONDS = env.int("FRAUD_INSTANT_SECONDS", 3)
# Less than this, in the currency's minor unit, is not paid out to a developer and rolls over.
PAYOUT_MINIMUM_MINOR = env.int("PAYOUT_MINIMUM_MINOR", 2500)
# How long processor and books may differ because something is under way, before it counts as a difference.
RECONCILIATION_GRACE_SECONDS = env.int("RECONCILIATION_GRACE_SECONDS", 86_400)
RETURN_WINDOW_DAYS = env.int("RETURN_WINDOW_DAYS", 30)

# Model server for agents: anything OpenAI-compatible; nothing depends on its being there.
MODEL_BASE_URL = env.str("MODEL_BASE_URL", "")
MODEL_API_KEY = env.str("MODEL_API_KEY", "")
MODEL_NAME = env.str("MODEL_NAME", "")
# How long the description assistant waits for the model server; 0 keeps to templates.
DESCRIPTION_MODEL_SECONDS = env.int("DESCRIPTION_MODEL_SECONDS", 0)
MODEL_TOKENS_PER_CONVERSATION = env.int("MODEL_TOKENS_PER_CONVERSATION", 50_000)

# How long a negotiated price holds.
QUOTE_SECONDS = env.int("QUOTE_SECONDS", 1800)
# What one conversation may ask of the gateway.
GATEWAY_CALLS_PER_SECOND = env.int("GATEWAY_CALLS_PER_SECOND", 25)
# What one sandbox may do at its socket, whatever it sends: beyond the first three it waits.
GATEWAY_CONNECTIONS = env.int("GATEWAY_CONNECTIONS", 32)
GATEWAY_REQUESTS_AT_ONCE = env.int("GATEWAY_REQUESTS_AT_ONCE", 8)
GATEWAY_REQUESTS_PER_SECOND = env.int("GATEWAY_REQUESTS_PER_SECOND", 50)
GATEWAY_REQUEST_SECONDS = env.float("GATEWAY_REQUEST_SECONDS", 15)
GATEWAY_MAX_BODY_BYTES = env.int("GATEWAY_MAX_BODY_BYTES", 2**20)

LOG_LEVEL = env.str("LOG_LEVEL", "INFO")
from agentstore.logs import logging_config  # noqa: E402  (needs nothing of Django; kept beside the settings it serves)

LOGGING = logging_config(level=LOG_LEVEL, json_lines=env.bool("LOG_JSON", LIVE))

UNFOLD = {
    "SITE_TITLE": SITE_NAME,
    "SITE_HEADER": SITE_NAME,
    # The store's indigo (assets/app.css), as the eleven steps that unfold wants.
    "COLORS": {
        "primary": {
            "50": "#f1f1fd", "100": "#e4e4fb", "200": "#cfcff8", "300": "#b3b4f4", "400": "#a2a5ff",
            "500": "#7a79ec", "600": "#4a46cc", "700": "#403bb5", "800": "#353195", "900": "#2c2a78", "950": "#1b1a4a",
        }
    },
}  # fmt: skip
