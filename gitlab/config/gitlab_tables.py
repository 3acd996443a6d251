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
