"""What comes between a proven identity and a session."""

from __future__ import annotations

from allauth.mfa import stages

from gitlab.accounts.factors import standing


class AuthenticateStage(stages.AuthenticateStage):
    """Asks for a second factor, unless an identity provider has asked for one itself."""

    def handle(self) -> tuple[object, bool]:
        """allauth's, but for whom `standing.PROVEN_ELSEWHERE` names."""
        user = self.login.user
        if user and self.request.session.get(standing.PROVEN_ELSEWHERE) == user.pk:
            return None, True
        found: tuple[object, bool] = super().handle()
        return found
