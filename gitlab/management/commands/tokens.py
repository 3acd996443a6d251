"""``manage.py tokens``: personal access tokens."""

from __future__ import annotations

import datetime as dt
from argparse import ArgumentTypeError
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from gitlab.management.administration import (
    AdministrationCommand,
    Row,
    administrator,
    user_named,
)

if TYPE_CHECKING:
    from gitlab.access_tokens.models import PersonalAccessToken


class Command(AdministrationCommand):
    """list, create, revoke."""

    help = "List, create and revoke personal access tokens. The text of one is shown once."

    def add_verbs(self) -> None:
        listed = self.verb("list", "Tokens, the newest first, without their texts.")
        listed.add_argument("--user", metavar="USERNAME", help="only theirs")
        listed.add_argument("--active", action="store_true", help="only those that work")
        create = self.verb("create", "A new token of somebody's.")
        create.add_argument("username")
        create.add_argument("--name", required=True, help="what it is for")
        create.add_argument(
            "--scopes", required=True, help="with commas, as in read_registry,write_registry"
        )
        create.add_argument(
            "--expires-at", type=_day, metavar="YYYY-MM-DD", help="first day without it"
        )
        create.add_argument("--by", metavar="USERNAME", help="who does it: an administrator")
        revoke = self.verb("revoke", "Refuse tokens from now on.")
        revoke.add_argument("id", type=int, nargs="*", help="as `tokens list` shows them")
        revoke.add_argument("--user", metavar="USERNAME", help="all of theirs that work")
        revoke.add_argument("--by", metavar="USERNAME", help="who does it: an administrator")

    def list(self, options: dict[str, Any]) -> None:
        from gitlab.access_tokens.models import PersonalAccessToken

        rows = PersonalAccessToken.objects.select_related("user").order_by("-created_at")
        if options["user"]:
            rows = rows.filter(user=user_named(options["user"]))
        found = [token for token in rows.iterator(2000) if token.is_usable or not options["active"]]
        self.show([_row(token) for token in found], "No tokens.")

    def create(self, options: dict[str, Any]) -> None:
        from gitlab.access_tokens import services

        scopes = [scope.strip() for scope in options["scopes"].split(",") if scope.strip()]
        token, text = services.create(
            user_named(options["username"]),
            name=options["name"],
            scopes=scopes,
            expires_at=options["expires_at"],
            by=administrator(options["by"]),
        )
        self.show_one({**_row(token), "token": text}, f"Shown once: {text}")

    def revoke(self, options: dict[str, Any]) -> None:
        from gitlab.access_tokens import services
        from gitlab.access_tokens.models import PersonalAccessToken

        by = administrator(options["by"])
        rows = list(PersonalAccessToken.objects.select_related("user").filter(pk__in=options["id"]))
        missing = set(options["id"]) - {token.pk for token in rows}
        if missing:
            raise CommandError(f"There is no token {', '.join(map(str, sorted(missing)))}.")
        if options["user"]:
            rows += services.tokens_of(user_named(options["user"]), active=True)
        if not options["id"] and not options["user"]:
            raise CommandError("Name tokens by id, or a user with --user.")
        done = [_row(services.revoke(by, token)) for token in rows]
        if self.as_json:
            self.show(done, "")
        else:
            self.stdout.write(f"{len(done)} revoked.")


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError("a day is YYYY-MM-DD") from error


def _row(token: PersonalAccessToken) -> Row:
    state = "revoked" if token.is_revoked else "expired" if token.is_expired else "active"
    return {
        "id": token.pk,
        "user": token.user.username,
        "name": token.name,
        "scopes": token.scopes,
        "state": state,
        "expires_at": token.expires_at,
        "last_used_at": token.last_used_at,
        "created_at": token.created_at,
    }
