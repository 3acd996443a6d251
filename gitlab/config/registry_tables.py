"""``[registry]`` and ``[registry.storage]``: the registry's side. Each setting says what it
is for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, model_validator

from gitlab.config.values import Address, BareAddress, Listener, Table


class Storage(Table):
    """Where the bytes are."""

    driver: Literal["filesystem", "s3"] = "filesystem"
    """Where blobs are kept: `filesystem`, or `s3` for a bucket, which then has to be named. [What
    each of them promises](storage.md).

    Default: `filesystem`.
    Example: driver = "s3"
      bucket = "registry"
    """

    root: Path | None = None
    """The folder of the `filesystem` store. All registry nodes share it.

    Default: `registry/` in the state folder.
    Example: root = "/srv/registry"
    """

    bucket: str | None = None
    """The bucket of the `s3` store. It has to be there: Berth makes none.

    Default: none.
    Example: bucket = "registry"
    """

    prefix: str = ""
    """What the keys in the bucket start with, so that others can use it too.

    Default: none.
    Example: prefix = "berth/production"
    """

    endpoint: BareAddress | None = None
    """The address of the `s3` store, for any but AWS's own. With `redirect` clients have to reach
    it too.

    Default: AWS's, from the region.
    Example: endpoint = "https://s3.example.com"
    """

    region: str = "us-east-1"
    """The region of the `s3` store. Most stores other than AWS take any.

    Default: `us-east-1`.
    Example: region = "eu-central-1"
    """

    addressing_style: Literal["auto", "path", "virtual"] = "auto"
    """How the bucket stands in addresses of the `s3` store: `path` (`https://host/bucket/…`) or
    `virtual` (`https://bucket.host/…`, which needs a name in the DNS for each bucket). `auto` is
    `path` where an `endpoint` is set, else `virtual`.

    Default: `auto`.
    Example: addressing_style = "virtual"
    """

    access_key: SecretStr | None = None
    """The access key of the `s3` store. Without keys those of the machine's own role are looked
    for, as by every AWS client.

    Default: none.
    Example: access_key = "AKIAEXAMPLE"
      secret_key = "a-secret"
    """

    secret_key: SecretStr | None = None
    """The secret key of the `s3` store. Goes with `access_key`. It is sent nowhere and logged
    nowhere.

    Default: none.
    Example: access_key = "AKIAEXAMPLE"
      secret_key = "a-secret"
    """

    redirect: bool = False
    """Answer the download of a blob with a redirect to the `s3` store, signed for five minutes, so
    that its bytes don't pass through the registry. Clients have to reach the store. Without
    effect on `filesystem`.

    Default: `false`.
    Example: redirect = true
    """

    accel_prefix: str | None = Field(default=None, pattern=r"^/[A-Za-z0-9/_.-]*$")
    """An internal location of nginx. A pull is then answered with `X-Accel-Redirect`, and nginx
    sends the blob: with the filesystem store from the folder that is the location's `alias`,
    with the S3 store from the object's address, signed for five minutes, that the location
    passes on. Not together with `redirect`. See `deploy/nginx.conf`, which has both.

    Default: none, the registry sends blobs itself.
    Example: accel_prefix = "/-/blobs"
    """

    @model_validator(mode="after")
    def _is_whole(self) -> Storage:
        if self.driver == "s3" and self.accel_prefix and self.redirect:
            raise ValueError("redirect sends clients to the store, accel_prefix nginx: choose one")
        if self.driver == "s3" and not self.bucket:
            raise ValueError("the s3 store needs a bucket: set registry.storage.bucket")
        if self.driver == "s3" and (self.access_key is None) != (self.secret_key is None):
            raise ValueError("access_key and secret_key go together: set both or none")
        return self


class Registry(Table):
    """The registry's side."""

    enable: bool = True
    """Run the registry on this node.

    Default: `true`.
    Example: enable = false
    """

    registry_http_addr: Listener | None = None
    """host:port that the registry process listens on. Set it where a proxy in front has the port of
    `registry_external_url`.

    Default: the port of `registry_external_url`; on loopback where that names loopback, else on all
      addresses.
    Example: registry_http_addr = "127.0.0.1:5000"
    """

    token_realm: Address | None = None
    """The address of the token endpoint that the registry names in its 401. Clients must be able to
    reach it. `/jwt/auth` is appended where it is missing.

    Default: from `external_url`.
    Example: token_realm = "https://gitlab.example.com/jwt/auth"
    """

    http_secret: SecretStr | None = None
    """Signs the state of an upload that the client carries from request to request. The same on
    every registry node, or an upload can't go on at another one.

    Default: generated in `secrets/http_secret`.
    Example: http_secret = "forty-random-characters"
    """

    internal_key: SecretStr | None = None
    """The contents of the private key of the registry's tokens. It is made on the registry's side,
    never loaded there, and carried to GitLab's side. On a node that runs both it is the same as
    `gitlab_rails.internal_key`.

    Default: generated with the certificate at the first start of a node that runs the registry and
      has neither.
    Example: internal_key = '''-----BEGIN PRIVATE KEY-----…'''
    """

    internal_certificate: str | None = None
    """The contents of the certificate that belongs to the key. Written to `registry.rootcertbundle`
    at each start.

    Default: generated, self-signed.
    Example: internal_certificate = '''-----BEGIN CERTIFICATE-----…'''
    """

    rootcertbundle: Path | None = None
    """The file with the certificates that tokens are checked with. It may hold several: to change
    the key, add the new certificate, restart the registry's nodes, then change the key on
    GitLab's side, and remove the old certificate when the last token has ended. An authority's
    certificate here vouches for those that it has issued ([Foreign parts](foreign-parts.md)).

    Default: `keys/gitlab-registry.crt` in the state folder.
    Example: rootcertbundle = "/etc/gitlab/registry-bundle.crt"
    """

    health_storagedriver_enabled: bool = True
    """The registry's readiness includes a write, a read and a delete in the store, every three
    seconds while somebody asks. [What is answered where](storage.md#health).

    Default: `true`.
    Example: health_storagedriver_enabled = false
    """

    registry_issuer: str = "gitlab-issuer"
    """The issuer (`iss`) that the registry accepts. Must be equal to
    `gitlab_rails.registry_issuer`; a node that runs both refuses to start where it is not.

    Default: `gitlab-issuer`.
    Example: registry_issuer = "gitlab-issuer"
    """

    storage: Storage = Field(default_factory=Storage)
