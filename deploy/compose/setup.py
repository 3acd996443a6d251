"""The one-shot service ``setup`` of docker-compose.yml: passwords, keys, certificates,
configurations.

Each container finds what it needs as files of mode 0600 that belong to its own user, and nothing
else: the registry has no private key, GitLab's side no key of the store. What was made once is
kept; what follows from it and from the addresses is written anew, so it may run again and again.

It needs root for giving files away, and no network. ``docker compose run --rm setup`` with one of
these changes the key of the registry's tokens, while everything runs on:

    trust-new-key     1. make a new pair; the registry trusts it as well
    use-new-key       2. GitLab's side signs with it from now on
    forget-old-keys   3. ten minutes later: only the key that signs is trusted
"""

from __future__ import annotations

import datetime as dt
import json
import os
import secrets
import shutil
import sys
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# The script's own folder is on the path, the project's not.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from tokens import keys, rotation

VOLUMES = Path("/volumes")
GIVEN = Path("/given")
"""Where an administrator puts ``tls.crt`` and ``tls.key``."""

OWNERS = {
    "web": 10001,
    "registry": 10001,
    "postgres": 999,
    "postgres-data": 999,
    "redis": 999,
    "store": 1000,
    "store-data": 1000,
    "nginx": 101,
}
"""The users that the services run as."""

SOON = dt.timedelta(days=30)
LIFETIME = dt.timedelta(days=397)


def kept(volume: str, name: str) -> str:
    """A secret of 43 characters: what is there, or a new one."""
    path = VOLUMES / volume / name
    if not path.exists():
        keys.write_secret(path, secrets.token_urlsafe(32).encode())
    return path.read_text()


def write(volume: str, name: str, content: str | bytes) -> None:
    """A file that follows from others: unchanged where it is right, otherwise in one step."""
    path = VOLUMES / volume / name
    data = content.encode() if isinstance(content, str) else content
    if path.exists() and path.read_bytes() == data:
        return
    fresh = path.with_name(f".{name}.new")
    fresh.unlink(missing_ok=True)
    keys.write_secret(fresh, data)
    fresh.rename(path)


def make_databases() -> None:
    """A role and a database for each side; neither role may enter the other's."""
    kept("postgres", "password")
    for side, volume in (("gitlab", "web"), ("registry", "registry")):
        password = kept("postgres", f"{side}_password")
        write(volume, "database_url", f"postgresql://{side}:{password}@postgres/{side}")


def make_redis() -> None:
    """A broker and a cache behind a password; nothing in it has to survive."""
    password = kept("redis", "password")
    lines = [f"requirepass {password}", 'save ""', "appendonly no", "dir /tmp"]
    write("redis", "redis.conf", "\n".join([*lines, ""]))
    write("web", "broker_url", f"redis://:{password}@redis:6379/0")
    write("web", "cache_url", f"redis://:{password}@redis:6379/1")


def make_store() -> None:
    """The registry's keys for the store, which may do nothing but use its bucket."""
    access, secret = kept("registry", "store_access_key"), kept("registry", "store_secret_key")
    actions = [f"{action}:registry" for action in ("Admin", "Read", "Write", "List")]
    identity = {
        "name": "berth",
        "credentials": [{"accessKey": access, "secretKey": secret}],
        "actions": actions,
    }
    write("store", "s3.json", json.dumps({"identities": [identity]}))


def make_tokens() -> None:
    """The pair of the registry's tokens: the key for GitLab's side, the certificate for both.

    A bundle on the registry's side with more certificates than one is left alone: somebody is
    changing the key.
    """
    pair = VOLUMES / "web"
    if not (pair / "token.crt").exists():
        key, certificate = keys.generate()
        write("web", "token.key", key)
        write("web", "token.crt", certificate)
    if not (VOLUMES / "registry" / "token.crt").exists():
        write("registry", "token.crt", (pair / "token.crt").read_bytes())


def trust_new_key() -> None:
    """A new pair waits on GitLab's side, and the registry trusts its certificate already."""
    if not (VOLUMES / "web" / "next.crt").exists():
        key, certificate = keys.generate()
        write("web", "next.key", key)
        write("web", "next.crt", certificate)
    certificate = (VOLUMES / "web" / "next.crt").read_bytes()
    rotation.trust(VOLUMES / "registry" / "token.crt", certificate)
    print("The registry trusts the new key as well. Next: use-new-key")


def use_new_key() -> None:
    """The pair that waited is the one that signs."""
    folder = VOLUMES / "web"
    if not (folder / "next.crt").exists():
        sys.exit("There is no new key: trust-new-key makes it.")
    pair = (folder / "next.key").read_bytes(), (folder / "next.crt").read_bytes()
    rotation.sign_with(folder / "token.key", folder / "token.crt", *pair)
    (folder / "next.key").unlink()
    (folder / "next.crt").unlink()
    print("Tokens are signed with the new key. In ten minutes, when all others have ended:"
          " forget-old-keys")  # fmt: skip


def forget_old_keys() -> None:
    """Nothing is trusted any more but the key that signs."""
    if (VOLUMES / "web" / "next.crt").exists():
        sys.exit("A new key waits: use-new-key comes first.")
    own, key = VOLUMES / "web" / "token.crt", VOLUMES / "web" / "token.key"
    for bundle in (VOLUMES / "registry" / "token.crt", own):
        for bundled in rotation.bundled(bundle, key):
            if not bundled.signs:
                rotation.distrust(bundle, key, bundled.key_id)
    print("Only the key that signs is trusted.")


STEPS = {
    "trust-new-key": trust_new_key,
    "use-new-key": use_new_key,
    "forget-old-keys": forget_old_keys,
}


def make_tls(names: list[str]) -> None:
    """The administrator's certificate, or one of an authority that exists for this one."""
    if (GIVEN / "tls.crt").exists() and (GIVEN / "tls.key").exists():
        for name in ("tls.crt", "tls.key"):
            write("nginx", name, (GIVEN / name).read_bytes())
        write("nginx", "ca.crt", b"")
        return
    path = VOLUMES / "nginx" / "tls.crt"
    if path.exists() and _fits(path.read_bytes(), names):
        return
    key, certificate, authority = _issue(names)
    write("nginx", "tls.key", key)
    write("nginx", "ca.crt", authority)
    write("nginx", "tls.crt", certificate)


def _fits(pem: bytes, names: list[str]) -> bool:
    certificate = x509.load_pem_x509_certificate(pem)
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return False
    lasts = certificate.not_valid_after_utc - dt.datetime.now(dt.UTC) > SOON
    return lasts and set(names) <= set(found.value.get_values_for_type(x509.DNSName))


def _issue(names: list[str]) -> tuple[bytes, bytes, bytes]:
    """Key, certificate and its authority, whose own key is forgotten."""
    now = dt.datetime.now(dt.UTC)
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Berth on {names[0]}")])

    def begun(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + LIFETIME)
        )

    public = authority_key.public_key()
    authority = (
        begun(issuer, public)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    certificate = (
        begun(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])]), key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    key_pem = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return key_pem, certificate.public_bytes(pem), authority.public_bytes(pem)


def make_nginx(names: list[str]) -> None:
    """The configuration with the names in it."""
    text = (Path(__file__).parent / "nginx.conf").read_text()
    for example, name in zip(("gitlab.example.com", "registry.example.com"), names, strict=True):
        text = text.replace(f"server_name {example};", f"server_name {name};")
    write("nginx", "nginx.conf", text)


def give_away() -> None:
    """Everything to the user of the service that mounts it, and to nobody else."""
    for volume, owner in OWNERS.items():
        folder = VOLUMES / volume
        os.chown(folder, owner, owner)
        folder.chmod(0o700)
        if not volume.endswith("-data"):
            for path in folder.iterdir():
                path.chmod(0o600)
                os.chown(path, owner, owner)
    # What clients are to trust is no secret, and nginx has no use for it.
    shutil.copyfile(VOLUMES / "nginx" / "ca.crt", VOLUMES / "web" / "ca.crt")
    os.chown(VOLUMES / "web" / "ca.crt", OWNERS["web"], OWNERS["web"])


def main() -> None:
    """Everything, in the order in which one follows from the other; then the step that is asked
    for.
    """
    step = sys.argv[1] if len(sys.argv) > 1 else None
    if step is not None and step not in STEPS:
        sys.exit(f"{step} is not one of {', '.join(STEPS)}")
    names = []
    for variable in ("GITLAB_URL", "REGISTRY_URL"):
        split = urlsplit(os.environ[variable])
        if split.scheme != "https" or not split.hostname:
            sys.exit(f"{variable} has the form https://name or https://name:port")
        names.append(split.hostname)
    if names[0] == names[1]:
        sys.exit("GITLAB_URL and REGISTRY_URL need two host names.")
    os.umask(0o077)
    make_databases()
    make_redis()
    make_store()
    make_tokens()
    make_tls(names)
    make_nginx(names)
    for name in ("secret_key", "events_secret", "root_password"):
        kept("web", name)
    kept("registry", "http_secret")
    if step is not None:
        STEPS[step]()
    give_away()
    print("Secrets, keys and configurations are there.")


if __name__ == "__main__":
    main()
