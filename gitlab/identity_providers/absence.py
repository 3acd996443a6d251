"""Who does not come by their provider any more: OpenID Connect tells nobody that they are gone."""

from __future__ import annotations

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from gitlab.accounts.models import User
from gitlab.config.identity_tables import OpenIDConnect
from gitlab.identity_providers import services
from gitlab.identity_providers.models import Identity
from gitlab.refusals import Forbidden

MOST = 500
"""People of one provider at a time. Who is left is for the next time."""


def sweep() -> int:
    """Deactivate whose account a provider made and who has not come by it for its `absent_after`.

    How many were looked at. May run at any time and twice.
    """
    count = 0
    for name, provider in settings.IDENTITY_PROVIDERS.items():
        active = _absent(name, provider).filter(user__state=User.State.ACTIVE)
        for identity in active.select_related("user").order_by("seen_at")[:MOST]:
            services.rest(identity)
            count += 1
    return count


def require_presence(user: User) -> None:
    """Let nobody come back by a password or a passkey of ours whom their provider has not seen.

    Raises `Forbidden`.
    """
    for name, provider in settings.IDENTITY_PROVIDERS.items():
        if _absent(name, provider).filter(user=user).exists():
            raise Forbidden(
                f"Your account rests: sign in by {provider.label or name} to come back."
            )


def _absent(name: str, provider: OpenIDConnect) -> QuerySet[Identity]:
    """Whose account a provider made, and who has not come by it for its `absent_after`."""
    if not provider.absent_after:
        return Identity.objects.none()
    return Identity.objects.filter(
        provider=name,
        issuer=provider.issuer or "",
        made_user=True,
        seen_at__lt=timezone.now() - provider.absent_after,
    )
