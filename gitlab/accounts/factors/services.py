"""The rules of second factors. `by` is who does it, None for the command line."""

from __future__ import annotations

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from allauth.mfa.utils import decrypt
from django.db import transaction
from django.utils.crypto import constant_time_compare

from gitlab.accounts import sessions
from gitlab.accounts.factors import standing
from gitlab.accounts.models import User
from gitlab.audit.services import record
from gitlab.principals import Person
from gitlab.refusals import Forbidden, Invalid
from gitlab.revocations import services as revocations

MOST_PASSKEYS = 20
"""Of one person."""

KINDS = {"totp": "authenticator app", "webauthn": "passkey", "recovery_codes": "recovery codes"}
"""allauth's word for a kind → ours."""


def of(user: User) -> list[Authenticator]:
    """The factors of somebody, recovery codes too, the oldest first."""
    return list(Authenticator.objects.filter(user_id=user.pk).order_by("created_at", "pk"))


def has_passkey_alone(user: User) -> bool:
    """Whether a passkey signs them in without a password."""
    rows = Authenticator.objects.filter(user_id=user.pk, type=Authenticator.Type.WEBAUTHN)
    return any(row.wrap().is_passwordless for row in rows)


@transaction.atomic
def check_code(user: User, code: str) -> Authenticator | None:
    """The factor whose code this is, of the app or for recovery; None for a wrong one.

    A code counts once, for all processes: RFC 6238, section 5.2. allauth remembers that in a
    cache, which here each process has its own of.
    """
    rows = Authenticator.objects.select_for_update().filter(user_id=user.pk)
    code = "".join(code.split())
    for row in rows.exclude(type=Authenticator.Type.WEBAUTHN):
        if row.type == Authenticator.Type.TOTP:
            if _uses_up(row, code):
                return row
        elif row.wrap().validate_code(code):
            record("user.use_recovery_code", by=user, target=user)
            return row
    return None


def _uses_up(row: Authenticator, code: str) -> bool:
    """Whether this is a code of the app that no later one, nor itself, was used before."""
    secret = decrypt(row.data["secret"])
    for counter in totp.yield_hotp_counters_from_time():
        value = totp.format_hotp_value(totp.hotp_value(secret, counter))
        if counter > row.data.get("last_counter", 0) and constant_time_compare(value, code):
            row.data["last_counter"] = counter
            row.save(update_fields=["data"])
            return True
    return False


def use_up(user: User, code: str) -> None:
    """The code that has set up the app does not sign in as well."""
    for row in Authenticator.objects.filter(user_id=user.pk, type=Authenticator.Type.TOTP):
        _uses_up(row, code)


def check_room(user: User) -> None:
    """Raises `Invalid` where somebody has as many passkeys as one may have."""
    if (
        Authenticator.objects.filter(user_id=user.pk, type=Authenticator.Type.WEBAUTHN).count()
        >= MOST_PASSKEYS
    ):
        raise Invalid({"name": f"At most {MOST_PASSKEYS} passkeys: remove one first."})


def note_added(user: User, kind: str, *, this_session: str | None) -> None:
    """A factor was added: sessions and registry tokens from before it end.

    Within the transaction that adds it. The page's own session goes on once it is signed anew.
    """
    standing.forget(user)
    record("user.add_factor", by=user, target=user, kind=KINDS[kind])
    sessions.end_all(user, by=user, keep=this_session, note=False)
    revocations.end_tokens(subject=user.username)


def note_removed(user: User, kind: str) -> None:
    """A factor was removed, by its owner. Within the transaction that removes it."""
    standing.forget(user)
    record("user.remove_factor", by=user, target=user, kind=KINDS[kind])


def note_new_codes(user: User) -> None:
    """Recovery codes were made anew; those from before don't count any more."""
    record("user.new_recovery_codes", by=user, target=user)


@transaction.atomic
def remove_all(user: User, *, by: Person | None) -> int:
    """Take all factors away from somebody who has lost them; how many there were.

    They sign in by their password until they set up new ones. Raises `Forbidden`.
    """
    if by is not None and not (by.is_superuser and by.is_active):
        raise Forbidden("Only administrators may do this.")
    gone, _ = Authenticator.objects.filter(user_id=user.pk).delete()
    standing.forget(user)
    if gone:
        record("user.remove_factors", by=by, target=user)
        sessions.end_all(user, by=by, note=False)
    return gone
