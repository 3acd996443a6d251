"""``[berth.rate_limits]`` and ``[berth.limits]``: how often and how much."""

from __future__ import annotations

from pydantic import Field

from gitlab.config.values import (
    Table,
)


class RateLimits(Table):
    """Who comes too often is answered with 429 and `Retry-After`, the seconds until there is room
    again: 1 to 60 for requests, more for failed logins that go on. A minute's requests may come at
    once, the next ones as their share of the minute passes. Requests of an upload that has begun
    are never refused, and the worker's own calls are not counted. With `berth.cache_url` all nodes
    count together, on the registry's nodes too; without it the processes of each node do, and
    failed logins are counted together by the nodes that share a PostgreSQL database. Where a shared
    store does not answer, each node counts by itself; where the count can't be kept at all,
    requests go on, and `berth_rate_limit_failures_total` says so.
    """

    failed_logins: int = Field(default=10, ge=0)
    """Failed logins of a name at an address, within ten minutes, after which it has to wait there:
    for a tenth of that, and longer after three times as many within a day. A name waits everywhere
    after ten times as many within an hour, but not where it has signed in within thirty days. The
    same wrong password counts once. [What that means](threat-model.md#guessing). 0 is no limit, for
    addresses neither.

    Default: `10`.
    Example: failed_logins = 20
    """

    failed_logins_per_address: int = Field(default=200, ge=0)
    """Failed logins from an address within ten minutes, whatever the names, wrong tokens included,
    after which it has to wait; but not who has signed in there within thirty days. An IPv6 address
    counts with its /64. 0 is no limit.

    Default: `200`.
    Example: failed_logins_per_address = 1000
    """

    per_user: int = Field(default=0, ge=0)
    """Requests a minute of one user: pages, tokens, and the registry. 0 is no limit.

    Default: `0`.
    Example: per_user = 2000
    """

    per_token: int = Field(default=0, ge=0)
    """Requests a minute with one token: at `/jwt/auth` a personal access token, at the registry the
    token that was got for it. 0 is no limit.

    Default: `0`.
    Example: per_token = 2000
    """

    per_address: int = Field(default=0, ge=0)
    """Requests a minute from one address by nobody that is known: without a login, and without a
    token. An IPv6 address counts with its /64. Many clients share an address behind NAT, and
    docker asks once without a token for each pull. 0 is no limit.

    Default: `0`.
    Example: per_address = 300
    """


class Limits(Table):
    """How much there may be, where nobody has said otherwise. [What counts](quotas.md)."""

    namespace_bytes: int = Field(default=0, ge=0)
    """Bytes below each group or person's own namespace at the top, each blob once. Administrators
    set others for single ones. 0 is no limit.

    Default: `0`.
    Example: namespace_bytes = 100000000000
    """

    namespace_images: int = Field(default=0, ge=0)
    """Images below each group or person's own namespace at the top. Administrators set others for
    single ones. 0 is no limit.

    Default: `0`.
    Example: namespace_images = 1000
    """

    uploads_per_person: int = Field(default=1000, ge=0)
    """Uploads that one person has begun, sent a part of, and not ended. More are refused with 429
    until some end, or until `berth.upload_expiry` has passed. 0 is no limit.

    Default: `1000`.
    Example: uploads_per_person = 100
    """

    projects_per_hour: int = Field(default=200, ge=0)
    """Projects that one person's pushes create within an hour. More are refused with 429 until
    there is room again; pages and the API are not limited. 0 is no limit.

    Default: `200`.
    Example: projects_per_hour = 20
    """

    tokens_per_person: int = Field(default=1000, ge=0)
    """Personal access tokens of one person that are neither revoked nor expired. More are refused,
    by the API with 429. 0 is no limit.

    Default: `1000`.
    Example: tokens_per_person = 50
    """
