"""``[berth]``: what GitLab's own file has no word for."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, model_validator

from gitlab.config.directory_tables import LDAP
from gitlab.config.identity_tables import OpenIDConnect, ProviderName
from gitlab.config.limit_tables import Limits, RateLimits
from gitlab.config.values import (
    PROJECT,
    AuditStream,
    DormancyPeriod,
    Duration,
    Listener,
    MailDomains,
    Networks,
    Origins,
    Roles,
    Table,
)


class Berth(Table):
    """This installation."""

    home: Path = PROJECT / "var"
    """The state folder: keys, secrets, SQLite files, blobs, broker, static files. Only its owner
    may enter it. The environment also knows it as `BERTH_HOME`.

    Default: `var/` beside `manage.py`.
    Example: home = "/srv/berth"
    """

    roles: Roles = [
        "web",
        "registry",
    ]
    """What this node serves: `web`, `registry`, or both. The worker belongs to `web`. The
    environment also knows it as `ROLES`.

    Default: `web, registry`.
    Example: roles = ["web"]
    """

    processes: int = Field(default=2, ge=1, le=64)
    """How many processes serve each of this node's roles, 1 to 64. Each uses one core at a time and
    works on 16 requests of the registry or 8 of GitLab at once, with as many connections to its
    database and one more for pulls; a small machine saves the memory of the second.

    Default: `2`.
    Example: processes = 4
    """

    web_http_addr: Listener | None = None
    """host:port that the web process listens on. Set it where a proxy in front has the port of
    `external_url`.

    Default: the port of `external_url`; on loopback where that names loopback, else on all
      addresses.
    Example: web_http_addr = "127.0.0.1:8000"
    """

    database_url: SecretStr | None = None
    """GitLab's database: `sqlite:///` with a path, or `postgresql://`. A socket's folder goes into
    `?host=`.

    Default: SQLite in `db/gitlab.sqlite3`.
    Example: database_url = "postgresql://berth:secret@db.example.com/gitlab"
    """

    registry_database_url: SecretStr | None = None
    """The registry's database, a different one from GitLab's.

    Default: SQLite in `db/registry.sqlite3`.
    Example: registry_database_url = "postgresql://berth:secret@db.example.com/registry"
    """

    database_timeout: Duration = timedelta(seconds=10)
    """How long a request waits for one answer of PostgreSQL, locks included; then it is answered
    with 503 and `Retry-After`. A server that hangs is given up two seconds later, and a
    transaction whose process has stopped in its middle is ended after six times as long. `0`
    waits for ever. Commands and jobs have no limit. A pooler between has to let `options`
    through.

    Default: `10s`.
    Example: database_timeout = "30s"
    """

    broker_url: SecretStr | None = None
    """What carries tasks to the worker: a Redis address.

    Default: files in the state folder, for one machine.
    Example: broker_url = "redis://redis.example.com:6379/0"
    """

    cache_url: SecretStr | None = None
    """The cache of GitLab's side: a Redis address.

    Default: a table in GitLab's database.
    Example: cache_url = "redis://redis.example.com:6379/1"
    """

    token_expire_delay: float = Field(default=10, gt=0, le=1440)
    """Minutes that a token lives. A request that has begun is never cut; the next one needs a live
    token.

    Default: `10`.
    Example: token_expire_delay = 5
    """

    token_leeway: Duration = Field(default=timedelta(seconds=10), le=timedelta(minutes=5))
    """By how much the nodes' clocks may differ: a token, and the certificate of its key, hold so
    long past their end, and a token may be from so far in the future. At most `5m`.

    Default: `10s`.
    Example: token_leeway = "30s"
    """

    gc_review_delay: Duration = timedelta(days=1)
    """The grace: how long something that nothing refers to any more is left alone. Longer than the
    longest push takes, or what was pushed first is gone before the manifest comes.

    Default: `1d`.
    Example: gc_review_delay = "12h"
    """

    undo_window: Duration = timedelta(days=7)
    """How long a deletion can be undone.

    Default: `7d`.
    Example: undo_window = "2d"
    """

    events_kept: Duration = timedelta(days=365)
    """How long the registry keeps its events and the receipts of what it removed. Whoever wants
    them longer exports them before ([kept and exported](operation.md#kept-and-exported)), or reads
    them as they come (`/gitlab/v1/events/`, `/gitlab/v1/garbage/receipts/`). With `0` they are kept
    for ever.

    Default: `365d`.
    Example: events_kept = "90d"
    """

    tag_history_kept: Duration = timedelta(days=365)
    """How long the registry keeps what a tag pointed at before, since it moved or went; never
    shorter than a deletion can be undone. What a tag points at now is not history. Neither GitLab
    nor Harbor keep one; a year answers what `latest` was when something was deployed. With `0` it
    is kept for ever.

    Default: `365d`.
    Example: tag_history_kept = "30d"
    """

    pulls_kept: Duration = timedelta(days=365)
    """How long the registry keeps how often something was pulled on which day
    ([pulls](pulls.md)). How often a manifest was pulled in all, and when last, is kept as long as
    the manifest. With `0` the days are kept for ever.

    Default: `365d`.
    Example: pulls_kept = "90d"
    """

    audit_events_kept: Duration = timedelta(0)
    """How long GitLab's side keeps audit events. With `0` they are kept for ever, as in Harbor
    until somebody schedules a purge: auditors ask for years, and how many is for you to decide.
    Export them before ([kept and exported](operation.md#kept-and-exported)).

    Default: `0`: for ever.
    Example: audit_events_kept = "1095d"
    """

    denials_kept: Duration = timedelta(days=14)
    """How long refused logins and scopes that were not granted are kept with their reasons
    ([why was I denied](audit.md#why-was-i-denied)). With `0` none is, and clients show no ids.

    Default: `14d`.
    Example: denials_kept = "3d"
    """

    audit_stream: AuditStream = ""
    """Where each audit event is sent on to, as a line of JSON, within twenty seconds and at least
    once: a file (`file:///var/log/berth/audit.jsonl`), a syslog by UDP
    (`syslog://logs.example.com:514`) or on this machine (`syslog:///dev/log`).
    See [the record](audit.md#sent-on).

    Default: nowhere.
    Example: audit_stream = "syslog://logs.example.com:514"
    """

    max_token_lifetime: Duration = timedelta(0)
    """The longest that a new access token of a person, project or group lasts, in whole days; also
    after a rotation. One that is made without a last day ends on the last that is allowed. Deploy
    tokens, and tokens that are there already, keep theirs. With `0` there is no limit. GitLab's
    `max_personal_access_token_lifetime`.

    Default: `0`: as long as one likes.
    Example: max_token_lifetime = "365d"
    """

    token_expiry_warning: Duration = timedelta(days=7)
    """How long before their end tokens of people, projects and groups, deploy tokens included, are
    marked on their pages and told of by mail, once, in whole days. With `0` neither.

    Default: `7d`.
    Example: token_expiry_warning = "14d"
    """

    upload_expiry: Duration = timedelta(days=7)
    """How long an upload that is not continued is kept.

    Default: `7d`.
    Example: upload_expiry = "1d"
    """

    delete_enabled: bool = True
    """The registry's API deletes at all.

    Default: `true`.
    Example: delete_enabled = false
    """

    push_creates_projects: bool = True
    """A push to a project that does not exist creates it, privately, where the person may create
    projects.

    Default: `true`.
    Example: push_creates_projects = false
    """

    hsts: Duration = timedelta(days=365)
    """How long browsers shall reach GitLab's host by https alone (`Strict-Transport-Security`),
    once they have come by https. It holds for all ports of the host. `0` tells them nothing; with
    plain http nothing is told anyway.

    Default: `365d`.
    Example: hsts = "30d"
    """

    signup_enabled: bool = False
    """Strangers may register. [How](people.md#registering).

    Default: `false`.
    Example: signup_enabled = true
    """

    signup_domains: MailDomains = []
    """Only addresses in these domains may register, or be invited by who is no administrator;
    `*.example.com` are all below one. The address has to be proven by a link that is sent to it;
    where no mail is sent, an administrator has to approve each.

    Default: none: every address.
    Example: signup_domains = ["example.com", "*.example.com"]
    """

    signup_requires_approval: bool = False
    """Who registers can't sign in before an administrator has approved it.

    Default: `false`.
    Example: signup_requires_approval = true
    """

    deactivate_dormant_after: DormancyPeriod = timedelta(0)
    """Who has neither signed in nor used a token for so long is [deactivated](people.md#silence),
    and comes back by signing in to the pages; at least a day. `0` never.

    Default: `0`: never.
    Example: deactivate_dormant_after = "90d"
    """

    invitation_expiry: Duration = timedelta(days=30)
    """How long an invitation by mail to a group or project counts; sent again, it begins anew. With
    `0` nobody is invited by mail. [What they are](people.md#invitations).

    Default: `30d`.
    Example: invitation_expiry = "7d"
    """

    invitations_make_accounts: bool = False
    """Whoever is invited by mail may make an account, though `signup_enabled` is off. An
    administrator's invitation always does.

    Default: `false`.
    Example: invitations_make_accounts = true
    """

    mail_to_log: bool = False
    """Mail is written into the log of the worker where no mail server is set
    ([`gitlab_rails.smtp_enable`](#gitlab_railssmtp_enable)), for trying things out. Whoever reads
    the log can follow the links in it, also those that set another password.

    Default: `false`.
    Example: mail_to_log = true
    """

    password_min_length: int = Field(default=8, ge=8, le=128)
    """Characters that a new password has at least. None of the 20,000 most common ones is taken
    either, nor one that is like the person's name or address.

    Default: `8`.
    Example: password_min_length = 12
    """

    require_two_factor: bool = False
    """Everybody has to set up a second factor: an authenticator app or a passkey. Groups can
    require it of their own people. [What that means](credentials.md#two-factors).

    Default: `false`.
    Example: require_two_factor = true
    """

    two_factor_grace_period: Duration = timedelta(hours=48)
    """How long somebody may go on without the second factor that `berth.require_two_factor` wants,
    from when they are first told. After it they find the page that sets one up and nothing else,
    and their password alone no longer serves docker. 0 is at once.

    Default: `48h`.
    Example: two_factor_grace_period = "7d"
    """

    max_manifest_size: int = Field(default=4 * 1024**2, gt=0, le=64 * 1024**2)
    """The largest manifest, in bytes; at most 64 MiB.

    Default: `4194304` (4 MiB).
    Example: max_manifest_size = 8388608
    """

    max_blob_size: int = Field(default=20 * 1024**3, gt=0)
    """The largest blob, in bytes.

    Default: `21474836480` (20 GiB).
    Example: max_blob_size = 53687091200
    """

    max_page: int = Field(default=1000, gt=0, le=10_000)
    """The most entries of one page of a list, whatever `n` asks for.

    Default: `1000`.
    Example: max_page = 500
    """

    max_scopes: int = Field(default=20, gt=0, le=100)
    """The most scopes of one request for a token that are granted, 1 to 100; those after them are
    left out. Each becomes a part of the token, which has to fit into a header field of 8 KiB: what
    has no room is left out too.

    Default: `20`.
    Example: max_scopes = 10
    """

    max_form_size: int = Field(default=2 * 1024**2, ge=1024, le=64 * 1024**2)
    """The largest form that is read, in bytes: of a page, and of a request for a token, of which at
    most 64 KiB are read whatever this says. 1 KiB to 64 MiB.

    Default: `2097152` (2 MiB).
    Example: max_form_size = 1048576
    """

    trusted_proxies: Networks = []
    """The addresses or networks of proxies whose `X-Forwarded-Proto` and `X-Forwarded-For` are
    believed: failed logins and the audit then count for the client's address and not for the
    proxy's. In the environment with commas.

    Default: none.
    Example: trusted_proxies = ["10.0.0.0/8"]
    """

    cors_origins: Origins = []
    """Origins whose pages may read the registry and get tokens, as a browser of registries does
    that is served elsewhere. They may ask and delete with the token of whoever uses them, and push
    nothing. On both sides: the registry's node, and the one that gives tokens.

    Default: none.
    Example: cors_origins = ["https://registry-ui.example.com"]
    """

    tls_certificate: Path | None = None
    """The certificate (with its chain) for TLS of our own listeners, web and registry. Goes
    together with `berth.tls_key`.

    Default: none: a proxy in front, or plain http.
    Example: tls_certificate = "/etc/gitlab/ssl/berth.crt"
    """

    tls_key: Path | None = None
    """The key of `berth.tls_certificate`.

    Default: none.
    Example: tls_key = "/etc/gitlab/ssl/berth.key"
    """

    registry_ca_bundle: Path | None = None
    """The certificates that GitLab trusts when it calls the registry over https.

    Default: the system's.
    Example: registry_ca_bundle = "/etc/gitlab/ssl/ca.crt"
    """

    sigstore_trust_root: Path | None = None
    """The authorities and logs of Sigstore by which [signatures](comparing.md#signatures) with a
    certificate are checked: the file that Sigstore calls ``trusted_root.json``. It takes the Python
    package ``sigstore``, which is not among what Berth installs. The file is read again where it
    changes, and never fetched: whoever uses the public Sigstore brings it up to date.

    Default: none; certificates are not checked.
    Example: sigstore_trust_root = "/etc/gitlab/trusted_root.json"
    """

    issuer_networks: Networks = []
    """Addresses, or networks, that are not the public internet's, at which
    [trusted issuers](credentials.md#trusted-issuers) may be all the same, also over http. Whoever
    maintains a project names issuers, and GitLab calls them: name no more than where they are.

    Default: none.
    Example: issuer_networks = ["10.20.30.40"]
    """

    issuer_ca_bundle: Path | None = None
    """The certificates that GitLab trusts, besides those of public authorities, when it calls a
    trusted issuer over https.

    Default: none.
    Example: issuer_ca_bundle = "/etc/gitlab/ssl/cluster-ca.crt"
    """

    secret_key: SecretStr | None = None
    """Signs sessions and forms of the web side, and keys the digests of remembered passwords. The
    same on every web node.

    Default: generated in `secrets/secret_key`.
    Example: secret_key = "fifty-random-characters"
    """

    events_secret: SecretStr | None = None
    """The secret that a registry of somebody else sends with its notifications, as `Authorization`.
    See [Foreign parts](foreign-parts.md).

    Default: generated in `secrets/events_secret`.
    Example: events_secret = "forty-random-characters"
    """

    metrics_networks: Networks = ["127.0.0.0/8", "::1"]
    """From where `/-/metrics` is answered without a token, on the web process and the registry's.
    What a proxy passes on (it has `X-Forwarded-For`) is not answered, whatever the proxy's
    address. See [Operation](operation.md).

    Default: loopback.
    Example: metrics_networks = ["127.0.0.0/8", "10.1.0.0/16"]
    """

    metrics_token: SecretStr | None = None
    """Whoever sends it (`Authorization: Bearer …`) is answered at `/-/metrics` from anywhere.

    Default: none.
    Example: metrics_token = "forty-random-characters"
    """

    worker_metrics_addr: Listener | None = None
    """host:port at which the worker hands out its numbers itself, without a token: an address that
    only your monitoring reaches. For a worker on a node without a web process; elsewhere the web
    process of the node hands them out with its own.

    Default: none.
    Example: worker_metrics_addr = "10.1.0.7:9400"
    """

    rate_limits: RateLimits = Field(default_factory=RateLimits)
    limits: Limits = Field(default_factory=Limits)
    oidc: dict[ProviderName, OpenIDConnect] = Field(default_factory=dict, max_length=20)
    ldap: dict[ProviderName, LDAP] = Field(default_factory=dict, max_length=20)
    log_format: Literal["text", "json"] = "text"
    """The form of the log of every process: `text` for people, `json` with one object a line. [What
    a line has](operation.md#the-log).

    Default: `text`.
    Example: log_format = "json"
    """

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """From which level on there are lines: `debug`, `info`, `warning`, `error`. What libraries
    print at debug level stays out, since it holds header fields and statements with their
    values.

    Default: `info`.
    Example: log_level = "warning"
    """

    access_log: Literal["off", "errors", "all"] = "errors"
    """Which requests get a line: `errors` are those that were answered with 500 and above, `all`,
    or `off`. Without their query, and with the id of the request.

    Default: `errors`.
    Example: access_log = "all"
    """

    debug: bool = False
    """Django's debug pages, and static files straight from the sources. Never on a machine that
    others reach.

    Default: `false`.
    Example: debug = true
    """

    crash_at: str = ""
    """A place in the code where the process dies at once, for tests of crashes: see
    [faults](faults.md). Refused unless `berth.debug` is set.

    Default: empty.
    Example: crash_at = "blob_renamed"
      debug = true
    """

    @model_validator(mode="after")
    def _crashes_in_tests_only(self) -> Berth:
        if self.crash_at and not self.debug:
            raise ValueError("crash_at is for tests of crashes: it needs debug as well")
        return self
