"""Where everything is put together: from `gitlab.config` to what Django and the packages read."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from whitenoise.compress import Compressor

from gitlab.config import PROJECT, BadConfiguration, load
from gitlab.server import logs

try:
    LOADED = load()
except BadConfiguration as error:
    sys.exit(str(error))
CONFIG = LOADED.configuration
ROLES = CONFIG.roles
HOME = CONFIG.home
BASE_DIR = PROJECT

DEBUG = CONFIG.berth.debug
CRASH_AT = CONFIG.berth.crash_at
SECRET_KEY = CONFIG.secret("secret_key")
# What a process that is a registry alone answers before Django's handler; see
# `gitlab.server.shortcut`.
WSGI_SHORTCUT = "registry.v2.shortcut" if {"registry"} == ROLES else ""
ALLOWED_HOSTS = CONFIG.hosts
CSRF_TRUSTED_ORIGINS = ["{0.scheme}://{0.netloc}".format(urlsplit(CONFIG.external_url))]
ROOT_URLCONF = "gitlab.urls"
WSGI_APPLICATION = "gitlab.wsgi.application"
# Redirecting to an address with a slash would lose the body of a push.
APPEND_SLASH = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = False
FORMAT_MODULE_PATH = "gitlab.ui.formats"

_WEB_APPS = [
    # Before Django's own, whose templates it replaces.
    "gitlab.admin_area",
    "gitlab.admin_area.apps.ConsoleConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
    "drf_spectacular",
    "csp",
    "gitlab.accounts",
    # After ours, whose templates stand in place of its own.
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "gitlab.accounts.apps.ActiveSessionsConfig",
    "gitlab.namespaces",
    "gitlab.path_changes",
    "gitlab.user_deletion",
    "gitlab.access_tokens",
    "gitlab.trusted_issuers",
    "gitlab.identity_providers",
    "gitlab.invitations",
    "gitlab.container_registry",
    "gitlab.container_registry.cleanup",
    "gitlab.container_registry.layers",
    "gitlab.container_registry.protection",
    "gitlab.container_registry.signatures",
    "gitlab.storage",
    "gitlab.quotas",
    "gitlab.activity",
    "gitlab.search",
    "gitlab.audit",
    "gitlab.record",
    "gitlab.revocations",
    "gitlab.mail",
    "gitlab.broadcast_messages",
    "gitlab.ui",
    "gitlab.api",
]
# Commands, migrations and tests see both sides; a process that serves one loads that one only.
INSTALLED_APPS = [
    "gitlab",
    "tokens",
    *(_WEB_APPS if "web" in ROLES else []),
    *(["registry"] if "registry" in ROLES else []),
]
_WEB_MIDDLEWARE = [
    "gitlab.server.health.HealthMiddleware",
    "gitlab.server.middleware.ClientAddressMiddleware",
    "gitlab.api.paths.EncodedPathMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "gitlab.audit.middleware.OriginMiddleware",
    "gitlab.server.middleware.TokenEndpointMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "gitlab.server.compression.CompressionMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "gitlab.accounts.middleware.SignedInMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
# The registry's views do for themselves what they need: each middleware costs every request.
MIDDLEWARE = [
    "gitlab.server.middleware.RequestIdMiddleware",
    "gitlab.server.metrics.requests.MetricsMiddleware",
    *(_WEB_MIDDLEWARE if "web" in ROLES else []),
]
CORS_ORIGINS = CONFIG.berth.cors_origins
if CORS_ORIGINS:
    MIDDLEWARE.insert(2, "gitlab.server.cors.CorsMiddleware")
_LIMITS = CONFIG.berth.rate_limits
RATE_LIMITS = {
    kind: per_minute
    for kind, per_minute in {
        "user": _LIMITS.per_user,
        "token": _LIMITS.per_token,
        "address": _LIMITS.per_address,
    }.items()
    if per_minute
}
# A limit that is off costs nothing.
if RATE_LIMITS and "web" in ROLES:
    MIDDLEWARE += ["gitlab.server.rate_limit.RateLimitMiddleware"]
if RATE_LIMITS and "registry" in ROLES:
    WSGI_SHORTCUT = ""
    MIDDLEWARE += [
        "gitlab.server.middleware.ClientAddressMiddleware",
        "registry.v2.rate_limit.RateLimitMiddleware",
    ]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "gitlab.ui.context_processors.frame",
                "gitlab.broadcast_messages.context_processors.broadcasts",
            ],
        },
    },
]


def _database(url: str) -> dict[str, Any]:
    """Django's description of the database that a URL names: sqlite or postgresql."""
    split = urlsplit(url)
    if split.scheme == "sqlite":
        return {
            "ENGINE": "gitlab.server.databases.sqlite",
            "NAME": unquote(split.path.removeprefix("/"))
            if split.path.startswith("//")
            else unquote(split.path),
            "CONN_MAX_AGE": None,
            "OPTIONS": {
                "timeout": 30,
                # A transaction that will write takes the lock at once: select_for_update does
                # nothing on SQLite, and upgrading a read lock fails under load.
                "transaction_mode": "IMMEDIATE",
                # FULL, since what was answered with 201 has to survive a power cut.
                "init_command": (
                    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                    "PRAGMA cache_size=-32000; PRAGMA mmap_size=268435456;"
                ),
            },
        }
    if split.scheme in ("postgres", "postgresql"):
        return {
            "ENGINE": "gitlab.server.databases.postgresql",
            "NAME": unquote(split.path.removeprefix("/")),
            "USER": unquote(split.username or ""),
            "PASSWORD": unquote(split.password or ""),
            "HOST": unquote(split.hostname or "") or _query(split.query).get("host", ""),
            "PORT": str(split.port or _query(split.query).get("port", "")),
            "CONN_MAX_AGE": 600,
            "CONN_HEALTH_CHECKS": "registry" not in ROLES or "web" in ROLES,
            "OPTIONS": {"connect_timeout": 3},
        }
    sys.exit(f"berth.database_url: {split.scheme} is no engine; use sqlite:// or postgresql://")


def _query(text: str) -> dict[str, str]:
    return {k: unquote(v) for k, _, v in (part.partition("=") for part in text.split("&")) if k}


DATABASES = {
    "default": _database(CONFIG.database_url("gitlab")),
    "registry": _database(CONFIG.database_url("registry")),
}
DATABASE_TIMEOUT = CONFIG.berth.database_timeout
DATABASE_ROUTERS = ["gitlab.server.databases.router.SideRouter"]
if {"registry"} == ROLES:
    # A registry's process has no way to GitLab's database, not even by mistake.
    DATABASES["default"] = {"ENGINE": "django.db.backends.dummy"}

_CACHE_URL = CONFIG.berth.cache_url
# Where limits are counted: the first that answers. Nodes that share a database share the failed
# logins also without Redis; a registry's nodes have no way there, so requests are counted by node.
_SHARED = (_CACHE_URL.get_secret_value(),) if _CACHE_URL else ()
_DATABASE = ("database://default",) if "postgresql" in DATABASES["default"]["ENGINE"] else ()
_FILE = (f"file://{HOME / 'db' / 'limiter.sqlite3'}",)
RATE_LIMITS_STORES = (*_SHARED, *_FILE)
FAILED_LOGINS_STORES = (*_SHARED, *_DATABASE, *_FILE)
CACHES: dict[str, Any] = {
    "default": (
        {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": _CACHE_URL.get_secret_value(),
            # One that hangs must not hold a thread; whoever asks can do without it.
            "OPTIONS": {
                "socket_timeout": 2,
                "socket_connect_timeout": 2,
                # Django's own would unpickle what somebody else may have written there.
                "serializer": "gitlab.server.databases.cache.JSONSerializer",
            },
        }
        if _CACHE_URL
        # In each process: what is kept is a verified password for some minutes, and costs a hash
        # more.
        else {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "OPTIONS": {"MAX_ENTRIES": 20_000},
        }
    ),
}

DATA_UPLOAD_MAX_MEMORY_SIZE = CONFIG.berth.max_form_size
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["gitlab.accounts.backends.ActiveUserBackend"]
PASSWORD_MIN_LENGTH = CONFIG.berth.password_min_length
PASSWORD_RESET_TIMEOUT = 3600
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": PASSWORD_MIN_LENGTH},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# allauth's flows under our rules, which stand in the adapters and the forms: see decision 28.
ACCOUNT_ADAPTER = "gitlab.accounts.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_REAUTHENTICATION_TIMEOUT = 600
# Counted by `gitlab.accounts.failed_logins`, in one step for all processes.
ACCOUNT_RATE_LIMITS = MFA_RATE_LIMITS = False
MFA_ADAPTER = "gitlab.accounts.adapters.FactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_TOLERANCE = 1
MFA_FORMS = {
    "authenticate": "gitlab.accounts.factors.forms.CodeForm",
    "reauthenticate": "gitlab.accounts.factors.forms.ConfirmByCodeForm",
    "activate_totp": "gitlab.accounts.factors.forms.ActivateTOTPForm",
    "add_webauthn": "gitlab.accounts.factors.forms.AddPasskeyForm",
    "authenticate_webauthn": "gitlab.accounts.factors.forms.PasskeyForm",
    "login_webauthn": "gitlab.accounts.factors.forms.PasskeyAloneForm",
    "reauthenticate_webauthn": "gitlab.accounts.factors.forms.ConfirmByPasskeyForm",
}
ACCOUNT_FORMS = {"reauthenticate": "gitlab.accounts.factors.forms.ConfirmByPasswordForm"}
REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "gitlab.api.schema.OperationSchema"}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "Berth",
    "DESCRIPTION": "GitLab's REST API v4, as far as groups, projects and images go.",
    "VERSION": "v4",
    "PATH_CONVERTER_OVERRIDES": {
        "api_id": {"type": "string", "description": "An id, or a path with its slashes as %2F."},
        "api_number": {"type": "integer"},
        "api_text": {"type": "string"},
    },
    "SCHEMA_PATH_PREFIX": "/api/v4/",
    # What is worked out may be left out, where nobody asked for it.
    "COMPONENT_NO_READ_ONLY_REQUIRED": True,
    "ENUM_ADD_EXPLICIT_BLANK_NULL_CHOICE": False,
    "ENUM_NAME_OVERRIDES": {
        "ProtectionLevel": ["maintainer", "owner", "admin"],
        # Parameters call it by two names.
        "AccessLevelEnum": "gitlab.namespaces.models.AccessLevel",
    },
}
CSRF_FAILURE_VIEW = "gitlab.ui.views.csrf_failure"
LOGIN_URL = "accounts:sign_in"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "accounts:sign_in"

_HTTPS = CONFIG.external_url.startswith("https://")
# Browsers send cookies to every port of a host: a name of our own keeps two installations apart.
SESSION_COOKIE_NAME = f"berth_session_{urlsplit(CONFIG.external_url).port or ''}"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SECURE_HSTS_SECONDS = int(CONFIG.berth.hsts.total_seconds()) if _HTTPS else 0
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    },
}

STATIC_URL = "/static/"
STATIC_ROOT = HOME / "static"
# Of the package's two viewers the one that is shown, so that no other is copied and compressed.
_SIDECAR = find_spec("drf_spectacular_sidecar")
STATICFILES_DIRS: list[tuple[str, str]] = []
if _SIDECAR is not None and _SIDECAR.origin is not None:
    _FILES = Path(_SIDECAR.origin).parent / "static" / "drf_spectacular_sidecar"
    STATICFILES_DIRS = [("swagger-ui", str(_FILES / "swagger-ui-dist"))]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "django.contrib.staticfiles.storage.StaticFilesStorage"
            if DEBUG
            else "whitenoise.storage.CompressedManifestStaticFilesStorage"
        )
    },
}
WHITENOISE_USE_FINDERS = DEBUG
# Besides whitenoise's own what only somebody asks for who debugs the viewer's code.
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = [*Compressor.SKIP_COMPRESS_EXTENSIONS, "map"]

# What both sides agree upon.
UNDO_WINDOW = CONFIG.berth.undo_window
TOKENS_AUTHORIZER = "gitlab.authorization.authorizer.GitLabAuthorizer"
TOKENS_ISSUER = (
    CONFIG.gitlab_rails.registry_issuer if "web" in ROLES else CONFIG.registry.registry_issuer
)
TOKENS_MAX_SCOPES = CONFIG.berth.max_scopes
# Credentials and scopes fit into much less than what a page may send.
TOKENS_MAX_FORM_SIZE = min(CONFIG.berth.max_form_size, 64 * 1024)
TOKENS_LIFETIME = int(CONFIG.berth.token_expire_delay * 60)
TOKENS_LEEWAY = CONFIG.berth.token_leeway.total_seconds()
TOKENS_KEY_PATH = CONFIG.key_path
TOKENS_CERTIFICATE_PATH = CONFIG.certificate_bundle
TOKENS_CERTIFICATE_BUNDLE = CONFIG.certificate_bundle

# The registry's side.
REGISTRY_TOKEN_REALM = CONFIG.token_realm
REGISTRY_HTTP_SECRET = CONFIG.secret("http_secret")
_STORAGE = CONFIG.registry.storage
REGISTRY_STORAGE = {
    "driver": _STORAGE.driver,
    "root": CONFIG.storage_root,
    "redirect": _STORAGE.redirect,
    "accel_prefix": _STORAGE.accel_prefix,
    "s3": {
        "bucket": _STORAGE.bucket,
        "prefix": _STORAGE.prefix,
        "endpoint": _STORAGE.endpoint,
        "region": _STORAGE.region,
        "addressing_style": _STORAGE.addressing_style,
        # Django's pages of errors mask what is called a key.
        "access_key": _STORAGE.access_key and _STORAGE.access_key.get_secret_value(),
        "secret_key": _STORAGE.secret_key and _STORAGE.secret_key.get_secret_value(),
    },
}
REGISTRY_HEALTH_STORAGEDRIVER_ENABLED = CONFIG.registry.health_storagedriver_enabled
REGISTRY_DELETE_ENABLED = CONFIG.berth.delete_enabled
REGISTRY_GC_REVIEW_DELAY = CONFIG.berth.gc_review_delay
REGISTRY_EVENTS_KEPT = CONFIG.berth.events_kept
REGISTRY_TAG_HISTORY_KEPT = CONFIG.berth.tag_history_kept
REGISTRY_PULLS_KEPT = CONFIG.berth.pulls_kept
# By the names alone, or where GitLab's side is on the node by its groups and projects too.
REGISTRY_IMPORT_OBJECTIONS = (
    "gitlab.container_registry.imports.objections" if "web" in ROLES else "tokens.names.objections"
)
REGISTRY_UPLOAD_EXPIRY = CONFIG.berth.upload_expiry
REGISTRY_UPLOADS_PER_PERSON = CONFIG.berth.limits.uploads_per_person
REGISTRY_MAX_MANIFEST_SIZE = CONFIG.berth.max_manifest_size
REGISTRY_MAX_BLOB_SIZE = CONFIG.berth.max_blob_size
REGISTRY_MAX_PAGE = CONFIG.berth.max_page

# GitLab's side.
QUOTA_BYTES = CONFIG.berth.limits.namespace_bytes
QUOTA_IMAGES = CONFIG.berth.limits.namespace_images
PROJECTS_PER_HOUR = CONFIG.berth.limits.projects_per_hour
TOKENS_PER_PERSON = CONFIG.berth.limits.tokens_per_person
EXTERNAL_URL = CONFIG.external_url
CONTAINER_REGISTRY_ENABLED = CONFIG.gitlab_rails.registry_enabled
CONTAINER_REGISTRY_API_URL = CONFIG.registry_api_url
CONTAINER_REGISTRY_CA_BUNDLE = CONFIG.berth.registry_ca_bundle
CONTAINER_REGISTRY_HOST_PORT = CONFIG.registry_host_port
CONTAINER_REGISTRY_PLAIN_HTTP = CONFIG.plain_http
CONTAINER_REGISTRY_EVENTS_SECRET = CONFIG.secret("events_secret")
PUSH_CREATES_PROJECTS = CONFIG.berth.push_creates_projects
TOKEN_EXPIRY_WARNING = CONFIG.berth.token_expiry_warning
MAX_TOKEN_LIFETIME = CONFIG.berth.max_token_lifetime
ISSUER_NETWORKS = CONFIG.berth.issuer_networks
ISSUER_CA_BUNDLE = str(CONFIG.berth.issuer_ca_bundle) if CONFIG.berth.issuer_ca_bundle else None
SIGSTORE_TRUST_ROOT = CONFIG.berth.sigstore_trust_root
AUDIT_EVENTS_KEPT = CONFIG.berth.audit_events_kept
DENIALS_KEPT = CONFIG.berth.denials_kept
AUDIT_STREAM = CONFIG.berth.audit_stream
REQUIRE_TWO_FACTOR = CONFIG.berth.require_two_factor
TWO_FACTOR_GRACE = CONFIG.berth.two_factor_grace_period
IDENTITY_PROVIDERS = CONFIG.berth.oidc
for _name, _provider in IDENTITY_PROVIDERS.items():
    if _provider.faults:
        sys.exit(f"berth.oidc.{_name} has no {' and no '.join(_provider.faults)}")
DIRECTORIES = CONFIG.berth.ldap
for _name, _directory in DIRECTORIES.items():
    if _directory.faults:
        sys.exit(f"berth.ldap.{_name} has {' and '.join(_directory.faults)}")
# Who asks directories, where there are any: it stands above the accounts, which ask it.
DIRECTORY_DOOR = "gitlab.identity_providers.directories.door"
SIGNUP_ENABLED = CONFIG.berth.signup_enabled
SIGNUP_DOMAINS = CONFIG.berth.signup_domains
SIGNUP_REQUIRES_APPROVAL = CONFIG.berth.signup_requires_approval
DEACTIVATE_DORMANT_AFTER = CONFIG.berth.deactivate_dormant_after
INVITATION_EXPIRY = CONFIG.berth.invitation_expiry
INVITATIONS_MAKE_ACCOUNTS = CONFIG.berth.invitations_make_accounts
FAILED_LOGIN_LIMIT = CONFIG.berth.rate_limits.failed_logins
FAILED_LOGINS_PER_ADDRESS = CONFIG.berth.rate_limits.failed_logins_per_address
TRUSTED_PROXIES = CONFIG.berth.trusted_proxies

# Mail.
_MAIL = CONFIG.gitlab_rails
MAIL_ENABLED = _MAIL.smtp_enable or CONFIG.berth.mail_to_log
if _MAIL.smtp_enable:
    EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
elif MAIL_ENABLED:
    EMAIL_BACKEND = "gitlab.mail.log_backend.EmailBackend"
else:
    EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
EMAIL_HOST = _MAIL.smtp_address
EMAIL_PORT = _MAIL.smtp_port
EMAIL_HOST_USER = _MAIL.smtp_user_name
EMAIL_HOST_PASSWORD = _MAIL.smtp_password.get_secret_value() if _MAIL.smtp_password else ""
EMAIL_USE_SSL = _MAIL.smtp_tls
EMAIL_USE_TLS = _MAIL.smtp_starttls and not _MAIL.smtp_tls
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = CONFIG.email_from

# Numbers for Prometheus.
METRICS_NETWORKS = CONFIG.berth.metrics_networks
_METRICS_TOKEN = CONFIG.berth.metrics_token
METRICS_TOKEN = _METRICS_TOKEN.get_secret_value() if _METRICS_TOKEN else None
WORKER_METRICS_ADDR = CONFIG.berth.worker_metrics_addr
METRICS_SOURCES = [
    *(["gitlab.container_registry.measures.measures"] if "web" in ROLES else []),
    *(["registry.measures.measures"] if "registry" in ROLES else []),
]

# The log.
LOG_FORMAT = CONFIG.berth.log_format
ACCESS_LOG = CONFIG.berth.access_log
logs.hide(CONFIG.secrets())
LOGGING = logs.configuration(LOG_FORMAT, CONFIG.berth.log_level)
