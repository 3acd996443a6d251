"""Speaking with a directory: each answer has an end in count, bytes and time, no referral is
followed, and what fails is never mistaken for "nobody is there".

The bounds are the client's own, beside those that the server is asked to keep. A single value is as
large as libldap takes it: the operator names the servers, and TLS says that they are these.
"""

from __future__ import annotations

import contextlib
import logging
import os
import ssl
import time
from collections.abc import Iterator
from typing import Any

from gitlab.config.directory_tables import LDAP
from gitlab.identity_providers.directories import entries, names
from gitlab.identity_providers.directories.entries import Entry
from gitlab.identity_providers.profiles import MOST_GROUPS, ProviderRefused, ProviderUnavailable

log = logging.getLogger(__name__)

MAX_BYTES = 8 * 1024 * 1024
"""Of all answers of one session."""

QUESTIONS = 4
"""How many of the table's time-outs one session may take in all, whatever it asks."""

_FEW = 100

AWAY_FOR = 15.0
"""Seconds for which a directory is not asked again in this process once nobody has answered."""

_away: dict[str, float] = {}
"""Name of a directory → when it may be asked again, by the monotonic clock."""


class NoAnswer(ProviderUnavailable):
    """No server can be reached, or none answers in time: asking again at once is of no use."""


@contextlib.contextmanager
def session(name: str, table: LDAP) -> Iterator[Session]:
    """A conversation with the first server that answers. Raises `ProviderUnavailable`."""
    if _away.get(name, 0.0) > time.monotonic():
        raise NoAnswer("nobody has answered a moment ago")
    try:
        with opened(table) as found:
            yield found
    except NoAnswer:
        _away[name] = time.monotonic() + AWAY_FOR
        raise
    _away.pop(name, None)


def forget() -> None:
    """Ask them all again."""
    _away.clear()


@contextlib.contextmanager
def opened(table: LDAP) -> Iterator[Session]:
    """The same, whatever has failed before."""
    with _faults():
        found = Session(table)
        try:
            yield found
        finally:
            found.close()


@contextlib.contextmanager
def _faults() -> Iterator[None]:
    """What python-ldap raises, as ours. Its messages hold no password."""
    try:
        import ldap
    except ImportError as error:
        raise ProviderUnavailable(
            "python-ldap is not installed: `make ldap` installs it"
        ) from error
    try:
        yield
    except (
        ldap.SERVER_DOWN, ldap.CONNECT_ERROR, ldap.TIMEOUT, ldap.UNAVAILABLE, ldap.BUSY
    ) as error:  # fmt: skip
        raise NoAnswer(_said(error)) from error
    except ldap.LDAPError as error:
        # Whatever else: also what a strange name makes a server say, which keeps nobody else out.
        raise ProviderUnavailable(_said(error)) from error


def _said(error: Exception) -> str:
    detail = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    words = [str(detail[key]) for key in ("desc", "info") if detail.get(key)]
    return f"{type(error).__name__}: {'; '.join(words)[:300]}"


def bind_password(table: LDAP) -> str:
    """What the file says, "" where there is none. Raises `ProviderUnavailable`."""
    path = table.bind_password_file
    if path is None:
        return ""
    try:
        with path.open() as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise ProviderUnavailable(f"{path} can be read by others: its mode has to be 0600")
            password = file.read(4096).rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise ProviderUnavailable(f"{path}: {type(error).__name__}") from error
    if not password:
        # Else a bind with a name and no password, which a server may take for anonymous.
        raise ProviderUnavailable(f"{path} is empty")
    return password


class Session:
    """A directory that is asked as Berth's own account, until it is closed.

    Its methods raise what python-ldap raises, which `opened` turns into `ProviderUnavailable`.
    """

    def __init__(self, table: LDAP) -> None:
        self.table = table
        self._ends = time.monotonic() + QUESTIONS * table.seconds
        self._left = MAX_BYTES
        self._server = ""
        self._ldap = self._reached()

    def close(self) -> None:
        """End it, whatever state it is in."""
        import ldap

        with contextlib.suppress(ldap.LDAPError):
            self._ldap.unbind_s()

    def _reached(self) -> Any:
        """A connection that is bound, to the first server that answers."""
        import ldap

        failed: Exception | None = None
        password = bind_password(self.table)
        for server in self.table.servers:
            try:
                connection = self._connected(server)
                connection.simple_bind_s(self.table.bind_dn, password)
            except ldap.LDAPError as error:
                log.warning("%s: %s", server, _said(error))
                failed = error
            else:
                self._server = server
                return connection
        raise failed or ProviderUnavailable("there is no server")

    def _connected(self, server: str) -> Any:
        """A connection on which nobody has said who they are, under TLS where that is wanted."""
        import ldap

        table = self.table
        connection = ldap.initialize(server)
        connection.timeout = table.seconds
        connection.set_option(ldap.OPT_PROTOCOL_VERSION, 3)
        connection.set_option(ldap.OPT_REFERRALS, 0)
        connection.set_option(ldap.OPT_NETWORK_TIMEOUT, table.seconds)
        connection.set_option(ldap.OPT_TIMEOUT, table.seconds)
        if table.start_tls or server.startswith("ldaps://"):
            authorities = table.ca_file or ssl.get_default_verify_paths().cafile
            if authorities:
                connection.set_option(ldap.OPT_X_TLS_CACERTFILE, str(authorities))
            connection.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND)
            # The options before count for a context that is made now.
            connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
        if table.start_tls:
            connection.start_tls_s()
        return connection

    def by_login(self, login: str) -> Entry | None:
        """Whom people call so. None for nobody. Raises `ProviderRefused` where it is several."""
        found = self._person(names.any_of(self.table.login_attributes, login.strip()))
        return found if found is not None and found.is_called(login) else None

    def by_subject(self, subject: str) -> Entry | None:
        """Who that is now. None where there is nobody any more."""
        value = entries.subject_value(self.table, subject)
        found = self._person(f"({self.table.id_attribute}={names.escaped(value)})")
        return found if found is not None and found.subject == subject else None

    def _person(self, term: str) -> Entry | None:
        import ldap

        table = self.table
        try:
            rows = self.search(
                table.users_base,
                f"(&{table.user_filter}{term})",
                entries.wanted_attributes(table),
                most=1,
            )
        except ldap.SIZELIMIT_EXCEEDED as error:
            raise ProviderRefused("more than one entry has that name") from error
        return entries.read(table, *rows[0]) if rows else None

    def accepts(self, entry: Entry, password: str) -> bool:
        """Whether that is the password of an entry.

        A bind without a name or without a password proves nothing, and servers say yes to it:
        RFC 4513, sections 5.1.1 and 5.1.2.
        """
        import ldap

        if not password or not entry.dn or "\0" in password:
            return False
        connection = self._connected(self._server)
        try:
            connection.simple_bind_s(entry.dn, password)
        except (
            ldap.INVALID_CREDENTIALS,
            ldap.INAPPROPRIATE_AUTH,
            ldap.INSUFFICIENT_ACCESS,
            ldap.UNWILLING_TO_PERFORM,
            ldap.CONSTRAINT_VIOLATION,
            ldap.NO_SUCH_OBJECT,
        ) as error:
            log.info("%s takes no password of %s: %s", self._server, entry.subject, _said(error))
            return False
        finally:
            with contextlib.suppress(ldap.LDAPError):
                connection.unbind_s()
        return True

    def groups(self, entry: Entry) -> frozenset[str]:
        """What the groups of somebody are called: see `names.group_keys`.

        Raises `ProviderRefused` where they are too many.
        """
        if not self.table.groups_base:
            return frozenset()
        import ldap

        from gitlab.identity_providers.directories import group_types

        try:
            found = group_types.groups_of(self, entry)
        except ldap.SIZELIMIT_EXCEEDED as error:
            raise ProviderRefused("somebody is in too many groups") from error
        if len(found) > MOST_GROUPS:
            raise ProviderRefused(f"somebody is in more than {MOST_GROUPS} groups")
        keys: set[str] = set()
        for dn, attributes in found:
            cns = (value.decode(errors="replace") for value in attributes.get("cn", ()))
            keys |= names.group_keys(dn, cns)
        return frozenset(keys)

    def anybody(self) -> Entry | None:
        """One of the people, to see whether the settings find any. Raises `ProviderRefused`."""
        table = self.table
        wanted = entries.wanted_attributes(table)
        rows = self.search(table.users_base, table.user_filter, wanted, most=1, cut=True)
        return entries.read(table, *rows[0]) if rows else None

    def has_groups(self) -> bool:
        """Whether the settings find any group."""
        table = self.table
        return bool(self.search(table.groups_base, table.group_filter, ["cn"], most=1, cut=True))

    def search(
        self,
        base: str,
        filter_text: str,
        attributes: list[str],
        *,
        most: int,
        cut: bool = False,
    ) -> list[tuple[str, entries.Attributes]]:
        """What is below `base`: DNs with attributes, in lower case. `most` entries and no more.

        Raises ``ldap.SIZELIMIT_EXCEEDED`` where there are more, unless they are `cut` off; other
        errors for whatever else: also for a base that is not there, since nobody is gone by that.
        """
        import ldap

        number = self._ldap.search_ext(
            base,
            ldap.SCOPE_SUBTREE,
            filter_text,
            attributes,
            timeout=max(1, round(self.table.seconds)),
            # Of many the server has its own limit, and may refuse to be asked for more.
            sizelimit=most + 1 if most < _FEW else 0,
        )
        found: list[tuple[str, entries.Attributes]] = []
        try:
            while not self._take(number, found):
                if len(found) > most:
                    self._ldap.abandon(number)
                    raise ldap.SIZELIMIT_EXCEEDED({"desc": f"more than {most} entries"})
        except ldap.SIZELIMIT_EXCEEDED:
            if not cut:
                raise
        return found[:most] if cut else found

    def _take(self, number: int, found: list[tuple[str, entries.Attributes]]) -> bool:
        """Add to `found` what comes next of an answer; whether that was all."""
        import ldap

        kind, rows, _, _ = self._ldap.result3(number, all=0, timeout=self._time_left())
        for dn, values in rows or []:
            if dn is None:  # A referral, which nobody follows.
                continue
            self._left -= len(dn) + sum(len(value) for each in values.values() for value in each)
            found.append((dn, {name.lower(): each for name, each in values.items()}))
        if self._left < 0:
            raise ProviderUnavailable(f"it answers more than {MAX_BYTES} bytes")
        return bool(kind == ldap.RES_SEARCH_RESULT)

    def _time_left(self) -> float:
        left = min(self._ends - time.monotonic(), self.table.seconds)
        if left <= 0:
            raise ProviderUnavailable("it takes too long")
        return left
