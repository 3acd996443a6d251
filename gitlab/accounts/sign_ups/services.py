"""The rules of registering. `by` is the administrator who lets somebody in, None for a command.

    sign_up() ──► active
              └─► pending approval ──► approve()    active
                                   └─► reject()     gone

Where only some domains may register, the address is proven by a link that is sent to it. Nobody is
told by that whether somebody has the address.
"""

from __future__ import annotations

from django.conf import settings
from django.core import signing
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse

from gitlab.accounts import failed_logins, registration, services
from gitlab.accounts.models import User
from gitlab.audit.services import record
from gitlab.mail import services as mail
from gitlab.principals import Person
from gitlab.refusals import Conflict, Forbidden, Invalid, NotFound
from tokens import addresses
from tokens.limiter import Kind, Limiter, Rate, TooManyRequests

LINK_LASTS = 24 * 3600
"""Seconds."""

MOST_TOLD = 20
"""Administrators who are told of one who waits."""

_limiter = Limiter("FAILED_LOGINS_STORES")
_SIGN_UPS = Kind("sign_ups", (Rate(20, 3600.0),))
_SALT = "gitlab.accounts.sign_ups"


def count(address: str) -> None:
    """Count an attempt to register: each costs a hash. Raises `TooManyRequests`.

    Twenty an hour of one address.
    """
    source = addresses.source(address)
    full = _limiter.take(_SIGN_UPS.of(source)) if source else {}
    if full:
        raise TooManyRequests(max(full.values()), "Too many attempts. Try again in {} seconds.")


def check_domain(email: str) -> None:
    """Raises `Invalid` where the address is in none of the domains that may register."""
    domain = email.strip().lower().rpartition("@")[2]
    allowed: list[str] = settings.SIGNUP_DOMAINS
    if allowed and not any(_is_in(domain, one) for one in allowed):
        raise Invalid({"email": f"Only addresses of {', '.join(allowed)}."})


def _is_in(domain: str, allowed: str) -> bool:
    return domain.endswith(allowed[1:]) if allowed.startswith("*.") else domain == allowed


def wants_link() -> bool:
    """Whether an address is proven first, by a link."""
    return bool(settings.SIGNUP_DOMAINS) and mail.is_on()


def _only_where_open() -> None:
    if not settings.SIGNUP_ENABLED:
        raise Forbidden("Ask an administrator for an account.")


@transaction.atomic
def send_link(email: str, *, address: str) -> None:
    """Send what lets somebody register with `email`; who has an account is told that they have one.

    A few times an hour: more change nothing and say the same. Raises `Forbidden`, `Invalid` for
    ``email``, `TooManyRequests`.
    """
    _only_where_open()
    email = email.strip().lower()
    check_domain(email)
    if not failed_logins.may_send_link(f"sign up {email}", address=address):
        return
    path = reverse("accounts:sign_up_by_link", args=[_token(email)])
    context = {
        "link": f"{settings.EXTERNAL_URL}{path}",
        "known": User.objects.filter(email=email).exists(),
        "sign_in": f"{settings.EXTERNAL_URL}{reverse('accounts:sign_in')}",
    }
    mail.queue_to(email, "Your account", render_to_string("accounts/mail/sign_up.txt", context))


def _token(email: str) -> str:
    return signing.dumps(email, salt=_SALT, compress=False)


def email_of(token: str) -> str:
    """The address that a link proves. Raises `NotFound` for one that is over, or made up."""
    try:
        email: str = signing.loads(token, salt=_SALT, max_age=LINK_LASTS)
    except signing.BadSignature as error:
        raise NotFound("this link is over") from error
    return email


def sign_up(
    *, username: str, email: str, password: str, name: str = "", is_proven: bool = False
) -> User:
    """A stranger's own registration; whether the address `is_proven` says who calls.

    Raises `Forbidden` where the settings don't allow it, and `Invalid`.
    """
    _only_where_open()
    check_domain(email)
    waits = settings.SIGNUP_REQUIRES_APPROVAL or (settings.SIGNUP_DOMAINS and not is_proven)
    user = services.prepared(
        username=username,
        email=email,
        password=password,
        name=name,
        state=User.State.PENDING if waits else User.State.ACTIVE,
        email_claimed=not is_proven,
    )
    with transaction.atomic():
        registration.write(user, by=None)
        tell_administrators(user)
    return user


def tell_administrators(user: User) -> None:
    """Mail those who can let somebody in who waits for it; nobody where they don't wait."""
    if not user.is_pending:
        return
    path = reverse("admin_area:person", args=[user.username])
    text = render_to_string(
        "accounts/mail/pending.txt", {"person": user, "link": f"{settings.EXTERNAL_URL}{path}"}
    )
    admins = User.objects.filter(is_superuser=True, state=User.State.ACTIVE).order_by("pk")
    for admin in admins[:MOST_TOLD]:
        mail.queue(admin, f"{user.username} waits for approval", text)


def _hold_pending(user: User, by: Person | None) -> User:
    if by is not None and not (by.is_superuser and by.is_active):
        raise Forbidden("Only administrators may do this.")
    rows = User.objects.select_for_update().filter(pk=user.pk, state=User.State.PENDING)
    found = rows.first()
    if found is None:
        raise Conflict({"__all__": f"{user.username} does not wait for approval."})
    return found


@transaction.atomic
def approve(user: User, *, by: Person | None) -> User:
    """Let somebody in who has registered. Raises `Conflict` for who does not wait."""
    found = _hold_pending(user, by)
    found.state = User.State.ACTIVE
    found.save(update_fields=["state"])
    record("user.approve", by=by, target=found)
    text = render_to_string(
        "accounts/mail/approved.txt",
        {"person": found, "link": f"{settings.EXTERNAL_URL}{reverse('accounts:sign_in')}"},
    )
    mail.queue(found, "Your account is approved", text)
    return found


@transaction.atomic
def reject(user: User, *, by: Person | None) -> None:
    """Delete somebody who has registered and was never let in; they are told by mail."""
    found = _hold_pending(user, by)
    record("user.reject", by=by, target=found)
    text = render_to_string("accounts/mail/rejected.txt", {"host": settings.EXTERNAL_URL})
    mail.queue_to(found.email, "Your account was not approved", text)
    services.delete_user(found, by=by)
