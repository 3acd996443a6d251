"""``[gitlab_rails]``: GitLab's side. Each setting says what it is for."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from gitlab.config.values import BareAddress, Table


class GitlabRails(Table):
    """GitLab's side."""

    registry_enabled: bool = True
    """GitLab may use the registry. Off means no tokens for images and no pages about them, and a
    clear answer.

    Default: `true`.
    Example: registry_enabled = false
    """

    registry_api_url: BareAddress | None = None
    """The registry's internal address, for pages and jobs. No path.

    Default: `http://127.0.0.1:` and the port of `registry.registry_http_addr`.
    Example: registry_api_url = "http://registry.internal:5000"
    """

    registry_host: str | None = None
    """The registry's host as it is shown to people, without a scheme.

    Default: from `registry_external_url`.
    Example: registry_host = "registry.example.com"
    """

    registry_port: int | None = Field(default=None, gt=0, lt=2**16)
    """The registry's port as it is shown to people.

    Default: from `registry_external_url`.
    Example: registry_port = 5005
    """

    registry_issuer: str = "gitlab-issuer"
    """The issuer (`iss`) of the tokens that GitLab signs. Must be equal to
    `registry.registry_issuer`.

    Default: `gitlab-issuer`.
    Example: registry_issuer = "gitlab-issuer"
    """

    registry_key_path: Path | None = None
    """The file of the private key that GitLab signs with. `gitlab_rails.internal_key` is written
    there.

    Default: `keys/gitlab-registry.key` in the state folder.
    Example: registry_key_path = "/etc/gitlab/registry.key"
    """

    internal_key: SecretStr | None = None
    """The contents of the private key. On a node that serves GitLab alone, without this setting and
    without the file, Berth stops and says what to carry from where. The certificate goes along,
    as `registry.internal_certificate` or as its file.

    Default: the pair of this node.
    Example: internal_key = '''-----BEGIN PRIVATE KEY-----…'''
    """

    smtp_enable: bool = False
    """Mail is sent: that tokens end soon, and that one was used after its rotation. Without it
    people see both on their pages alone.

    Default: `false`.
    Example: smtp_enable = true
    """

    smtp_address: str = "localhost"
    """The mail server's host.

    Default: `localhost`.
    Example: smtp_address = "smtp.example.com"
    """

    smtp_port: int = Field(default=25, gt=0, lt=2**16)
    """The mail server's port: 25, 587 where people submit, 465 with `smtp_tls`.

    Default: `25`.
    Example: smtp_port = 587
    """

    smtp_user_name: str = ""
    """The name to sign in to the mail server with; none where it asks for none.

    Default: none.
    Example: smtp_user_name = "gitlab@example.com"
    """

    smtp_password: SecretStr | None = None
    """The password beside it.

    Default: none.
    Example: smtp_password = "a-secret"
    """

    smtp_tls: bool = False
    """TLS from the first byte, as on port 465.

    Default: `false`.
    Example: smtp_tls = true
    """

    smtp_starttls: bool = False
    """TLS by STARTTLS, as on port 587. Where the server does not offer it the mail fails: nothing
    is sent in the clear. Ignored with `smtp_tls`.

    Default: `false`.
    Example: smtp_starttls = true
    """

    gitlab_email_from: str = ""
    """The sender of mails.

    Default: `gitlab@` and the host of `external_url`.
    Example: gitlab_email_from = "gitlab@example.com"
    """
