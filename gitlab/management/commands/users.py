"""``manage.py users``: people, for whoever has a shell on the node."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from gitlab.management.administration import AdministrationCommand, Row, user_named

if TYPE_CHECKING:
    from gitlab.accounts.models import User


class Command(AdministrationCommand):
    """list, create, block, unblock, password, admin."""

    help = "List, create, block and unblock users, set passwords, make administrators."

    def add_verbs(self) -> None:
        listed = self.verb("list", "Everybody, by name.")
        listed.add_argument(
            "--state", choices=["active", "blocked", "deactivated"], help="only these"
        )
        listed.add_argument("--admins", action="store_true", help="only administrators")
        create = self.verb("create", "A new user with a namespace of their own.")
        create.add_argument("username")
        create.add_argument("--email", required=True)
        create.add_argument("--name", default="", help="how people read it; default: the username")
        create.add_argument("--admin", action="store_true", help="an administrator")
        create.add_argument("--external", action="store_true", help="sees what is public only")
        _add_password(create)
        for name, text in (
            ("block", "No sign-in and no token of theirs works any more; sessions end."),
            ("unblock", "They may sign in again, with the tokens that they had."),
            ("disable_two_factor", "Their password alone signs in; for who has lost the device."),
            ("lift_failed_logins", "They need not wait any longer after failed logins."),
            ("end_sessions", "They are signed out everywhere."),
        ):
            self.verb(name, text).add_argument("username")
        password = self.verb("password", "Set a password; their sessions end.")
        password.add_argument("username")
        _add_password(password)
        admin = self.verb("admin", "Make somebody an administrator, or with --revoke no longer.")
        admin.add_argument("username")
        admin.add_argument("--revoke", action="store_true")

    def list(self, options: dict[str, Any]) -> None:
        from gitlab.accounts.models import User

        rows = User.objects.order_by("username")
        if options["state"]:
            rows = rows.filter(state=options["state"])
        if options["admins"]:
            rows = rows.filter(is_superuser=True)
        self.show([_row(user) for user in rows.iterator(2000)], "Nobody.")

    def create(self, options: dict[str, Any]) -> None:
        from gitlab.accounts import services

        password, generated = _password(options)
        user = services.create_user(
            username=options["username"],
            email=options["email"],
            name=options["name"],
            password=password,
            is_superuser=options["admin"],
            external=options["external"],
        )
        self._tell(user, generated, f"Made {user.username}.")

    def block(self, options: dict[str, Any]) -> None:
        from gitlab.accounts import services

        user = services.block(user_named(options["username"]), by=None)
        self.show_one(_row(user), f"{user.username} is blocked.")

    def unblock(self, options: dict[str, Any]) -> None:
        from gitlab.accounts import services

        user = services.unblock(user_named(options["username"]), by=None)
        self.show_one(_row(user), f"{user.username} is active.")

    def disable_two_factor(self, options: dict[str, Any]) -> None:
        from gitlab.accounts.factors import services

        user = user_named(options["username"])
        gone = services.remove_all(user, by=None)
        self.show_one(_row(user), f"{user.username} had {gone} factors and has none.")

    def lift_failed_logins(self, options: dict[str, Any]) -> None:
        from gitlab.accounts import login_waits

        user = user_named(options["username"])
        login_waits.lift(user, by=None)
        self.show_one(_row(user), f"{user.username} need not wait.")

    def end_sessions(self, options: dict[str, Any]) -> None:
        from gitlab.accounts import sessions

        user = user_named(options["username"])
        sessions.end_all(user, by=None)
        self.show_one(_row(user), f"{user.username} is signed out everywhere.")

    def password(self, options: dict[str, Any]) -> None:
        from gitlab.accounts import services

        user = user_named(options["username"])
        password, generated = _password(options)
        services.change_password(user, password, by=None)
        self._tell(user, generated, f"{user.username} has a new password.")

    def admin(self, options: dict[str, Any]) -> None:
        from gitlab.accounts import services

        user = user_named(options["username"])
        services.set_administrator(user, is_administrator=not options["revoke"], by=None)
        what = "no administrator" if options["revoke"] else "an administrator"
        self.show_one(_row(user), f"{user.username} is {what}.")

    def _tell(self, user: User, generated: str | None, sentence: str) -> None:
        row = dict(_row(user))
        if generated:
            row["password"] = generated
            sentence += f" The password, shown once: {generated}"
        self.show_one(row, sentence)


def _row(user: User) -> Row:
    return {
        "username": user.username,
        "name": user.name,
        "email": user.email,
        "state": user.state,
        "admin": user.is_superuser,
        "external": user.external,
        "last_login": user.last_login,
        "created_at": user.created_at,
    }


def _add_password(parser: Any) -> None:
    parser.add_argument(
        "--password-file",
        metavar="FILE",
        help="read the password from there, - for standard input; without it one is generated"
        " and printed. Never an argument: others can read those",
    )


def _password(options: dict[str, Any]) -> tuple[str, str | None]:
    """The password, and the same again where it was generated."""
    source = options["password_file"]
    if source is None:
        made = secrets.token_urlsafe(15)
        return made, made
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{source} can't be read ({error})") from error
    return text.removesuffix("\n").removesuffix("\r"), None
