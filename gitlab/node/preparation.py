"""The state folder, from nothing to what the processes of this node need; again and again.

    HOME/                          mode 0700
        prepare.lock               one preparation at a time
        secrets/secret_key         sessions, forms                      0600
        secrets/http_secret        the state that uploads carry         0600
        secrets/events_secret      a foreign registry's notifications   0600
        keys/gitlab-registry.key   signs tokens; GitLab's side only     0600
        keys/gitlab-registry.crt   checks tokens                        0644
        db/                        SQLite, where no other database is configured
        registry/                  the bytes
        static/                    what pages load

Every step looks first at what is there, so that a second run changes nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from django.contrib.staticfiles import finders
from django.core.management import call_command

from gitlab.config import Configuration
from gitlab.server.databases import schema
from tokens import keys

SECRETS = ("secret_key", "http_secret", "events_secret")


class NotPrepared(Exception):
    """The node can't start. The message is for its administrator and says what to do."""


Say = Callable[[str], None]


@contextlib.contextmanager
def lock(home: Path, say: Say) -> Iterator[None]:
    """Makes the state folder and holds it, so that two preparations run one after the other."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        home.chmod(0o700)
        file = (home / "prepare.lock").open("w")
    except OSError as error:
        raise NotPrepared(f"The state folder {home} (berth.home) can't be used: {error}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another preparation is running; waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def prepare_folders(config: Configuration) -> None:
    """The folders in which others make their files."""
    for name in ("secrets", "keys", "db"):
        (config.home / name).mkdir(mode=0o700, exist_ok=True)
    if "registry" in config.roles and config.registry.storage.driver == "filesystem":
        try:
            config.storage_root.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise NotPrepared(f"registry.storage.root can't be used: {error}") from error


def prepare_secrets(config: Configuration) -> None:
    """The secrets that are neither configured nor there."""
    configured = {
        "http_secret": config.registry.http_secret,
        "events_secret": config.berth.events_secret,
    }
    for name in SECRETS:
        path = config.home / "secrets" / name
        if configured.get(name) is not None:
            continue
        if path.exists() and not path.read_text().strip():
            path.unlink()  # A power cut between making the file and writing it.
        with contextlib.suppress(FileExistsError):
            keys.write_secret(path, secrets.token_urlsafe(48).encode())


def root_password_path(config: Configuration) -> Path:
    """Where the first administrator's generated password is kept, if it was not printed."""
    return config.home / "secrets" / "initial_root_password"


def keep_root_password(config: Configuration, password: str) -> Path:
    """Write the first administrator's generated password to its file, mode 0600."""
    path = root_password_path(config)
    path.unlink(missing_ok=True)
    keys.write_secret(path, f"{password}\n".encode())
    return path


def prepare_keys(config: Configuration, say: Say) -> None:
    """The key pair: configured, already there, or, where the registry runs, made now.

    A node that serves the registry alone needs the certificate only, and its key is not read.
    """
    _write_configured_pair(config)
    key, certificate = config.key_path, config.certificate_bundle
    runs_web, runs_registry = "web" in config.roles, "registry" in config.roles
    if runs_registry and not key.exists() and not certificate.exists():
        _generate_pair(config, say)
    if not certificate.exists():
        raise NotPrepared(_missing_certificate(config))
    if runs_web and not key.exists():
        raise NotPrepared(_missing_key(config))
    try:
        if runs_web:
            keys.signing_key(key.read_bytes(), certificate.read_bytes())
        else:
            keys.trusted_keys(certificate.read_bytes())
    except keys.UnusableKey as error:
        raise NotPrepared(
            f"The key pair can't be used: {error}.\n"
            f"  private key   {key if runs_web else 'not needed on this node'}\n"
            f"  certificates  {certificate}\n"
            "Both come from the same run of the registry's node: carry them again, or see"
            " gitlab_rails.registry_key_path, gitlab_rails.internal_key,"
            " registry.internal_certificate and registry.rootcertbundle."
        ) from error
    except OSError as error:
        raise NotPrepared(f"The key pair can't be read: {error}") from error


def _write_configured_pair(config: Configuration) -> None:
    own, registrys = config.gitlab_rails.internal_key, config.registry.internal_key
    if own and registrys and own.get_secret_value().strip() != registrys.get_secret_value().strip():
        raise NotPrepared(
            "registry.internal_key and gitlab_rails.internal_key are different keys: GitLab would"
            " sign with one and the registry would trust the other. Set one of them, or the same."
        )
    key = own or registrys
    if key is not None and "web" in config.roles:
        _replace(config.key_path, key.get_secret_value().strip().encode() + b"\n", 0o600)
    if config.registry.internal_certificate is not None:
        content = config.registry.internal_certificate.strip().encode() + b"\n"
        _replace(config.certificate_bundle, content, 0o644)


def _replace(path: Path, content: bytes, mode: int) -> None:
    """`content` in `path`: unchanged where it is there already, otherwise in one step."""
    if path.exists() and path.read_bytes() == content:
        return
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    keys.write_secret(fresh, content)
    fresh.chmod(mode)
    fresh.rename(path)


def _generate_pair(config: Configuration, say: Say) -> None:
    key, certificate = keys.generate(name=config.registry.registry_issuer)
    # The certificate goes last: where it is missing, the pair is not whole and is made again.
    keys.write_secret(config.key_path, key)
    _replace(config.certificate_bundle, certificate, 0o644)
    say(f"Made the key pair of the registry's tokens in {config.key_path.parent}.")
    if "web" not in config.roles:
        say(
            f"GitLab's node needs both files: carry {config.key_path.name} and"
            f" {config.certificate_bundle.name} there. The key is not needed here afterwards."
        )


def _missing_key(config: Configuration) -> str:
    return (
        f"GitLab's side has no private key to sign the registry's tokens with: {config.key_path}"
        " is not there and gitlab_rails.internal_key is not set.\n"
        "The pair was made when the registry's node first started. Carry from there"
        " keys/gitlab-registry.key and keys/gitlab-registry.crt (in its state folder) to\n"
        f"  {config.key_path}\n"
        f"  {config.certificate_bundle}\n"
        "or put their contents into gitlab_rails.internal_key and registry.internal_certificate."
    )


def _missing_certificate(config: Configuration) -> str:
    if "registry" in config.roles:
        return (
            f"{config.key_path} is there and its certificate {config.certificate_bundle} is not."
            " Carry the certificate here, or put it into registry.internal_certificate. To start"
            " with a new pair, move the key away."
        )
    if not config.key_path.exists():
        return _missing_key(config)
    return (
        f"The certificate of GitLab's private key is missing: {config.certificate_bundle}.\n"
        "Carry keys/gitlab-registry.crt from the state folder of the registry's node, or put its"
        " contents into registry.internal_certificate."
    )


@contextlib.contextmanager
def databases_to_ourselves(config: Configuration) -> Iterator[None]:
    """Holds the databases of this node's sides, which other nodes may prepare at the same time."""
    with contextlib.ExitStack() as held:
        for alias in _sides(config):
            held.enter_context(schema.alone(alias))
        yield


def prepare_databases(config: Configuration) -> None:
    """The tables of the sides that this node serves. Raises `NotPrepared` where they are newer."""
    try:
        for alias, setting in _sides(config).items():
            schema.migrate(alias, setting)
    except schema.NewerSchema as error:
        raise NotPrepared(str(error)) from error


def _sides(config: Configuration) -> dict[str, str]:
    """The databases of this node's sides, with the setting that names each."""
    sides = {
        "web": ("default", "berth.database_url"),
        "registry": ("registry", "berth.registry_database_url"),
    }
    return dict(side for role, side in sides.items() if role in config.roles)


def prepare_static_files(config: Configuration) -> None:
    """What pages load, gathered in one folder. Skipped while its sources are unchanged."""
    mark = config.home / "static" / ".sources"
    sources = _fingerprint()
    if mark.exists() and mark.read_text() == sources:
        return
    call_command("collectstatic", interactive=False, clear=True, verbosity=0)
    mark.parent.mkdir(exist_ok=True)
    mark.write_text(sources)


def _fingerprint() -> str:
    summary = hashlib.sha256()
    for finder in finders.get_finders():
        for path, storage in finder.list([]):
            status = Path(storage.path(path)).stat()
            summary.update(f"{path}\0{status.st_mtime_ns}\0{status.st_size}\n".encode())
    return summary.hexdigest()


def check_agreement(config: Configuration) -> None:
    """Both sides on one node agree about what they have to agree about."""
    ours, theirs = config.gitlab_rails.registry_issuer, config.registry.registry_issuer
    if {"web", "registry"} <= config.roles and ours != theirs:
        raise NotPrepared(
            f"gitlab_rails.registry_issuer ({ours}) and registry.registry_issuer ({theirs}) must be"
            " equal, or the registry refuses every token."
        )


def check_files(config: Configuration) -> None:
    """The files that the settings name are there."""
    certificate, key = config.berth.tls_certificate, config.berth.tls_key
    if (certificate is None) != (key is None):
        raise NotPrepared("berth.tls_certificate and berth.tls_key go together: set both or none.")
    named = {
        "berth.tls_certificate": certificate,
        "berth.tls_key": key,
        "berth.registry_ca_bundle": config.berth.registry_ca_bundle,
        "berth.issuer_ca_bundle": config.berth.issuer_ca_bundle,
        "berth.sigstore_trust_root": config.berth.sigstore_trust_root,
    }
    for setting, path in named.items():
        if path is not None and not os.access(path, os.R_OK):
            raise NotPrepared(f"{setting}: {path} is not there or can't be read.")
