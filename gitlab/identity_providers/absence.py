"""Who does not come by their provider any more: OpenID Connect tells nobody that they are gone."""

from __future__ import annotations

from django.conf import settings
from django.utils import timezone

from gitlab.accounts.models import User
from gitlab.identity_providers import services
from gitlab.identity_providers.models import Identity

MOST = 500
"""People of one provider at a time. Who is left is for the next time."""


def sweep() -> int:
    """Deactivate whose account a provider made and who has not come by it for its `absent_after`.

    How many were looked at. May run at any time and twice.
    """
    count = 0
    for name, provider in settings.IDENTITY_PROVIDERS.items():
        if not provider.absent_after:
            continue
        rows = Identity.objects.filter(
            provider=name,
            issuer=provider.issuer,
            made_user=True,
            seen_at__lt=timezone.now() - provider.absent_after,
            user__state=User.State.ACTIVE,
        ).select_related("user")
        for identity in rows.order_by("seen_at")[:MOST]:
            services.rest(identity)
            count += 1
    return count
