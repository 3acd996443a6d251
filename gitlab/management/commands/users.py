"""``manage.py users``: people, for whoever has a shell on the node."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

from gitlab.management import bulk
from gitlab.management.administration import (
    AdministrationCommand,
    Row,
    administrator,
    user_named,
)

if TYPE_CHECKING:
    from gitlab.accounts.models import User


_COLUMNS = ("username", "email", "name", "admin", "external", "state")


class Command(AdministrationCommand):
    """list, create, import, export, block, unblock, approve, reject, delete, password, admin."""

    help = "List, create, import, block, approve, delete users, set passwords, make administrators."

    def add_verbs(self) -> None:
        listed = self.verb("list", "Everybody, by name.")
        listed.add_argument(
            "--state",
            choices=["active", "blocked", "deactivated", "blocked_pending_approval"],
            help="only these",
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
            ("approve", "They have registered, and may sign in now."),
            ("reject", "They have registered, and their account is deleted."),
            ("disable_two_factor", "Their password alone signs in; for who has lost the device."),
            ("lift_failed_logins", "They need not wait any longer after failed logins."),
            ("end_sessions", "They are signed out everywhere."),
        ):
            self.verb(name, text).add_argument("username")
        delete = self.verb("delete", "They are gone; with what they own where one says what of it.")
        delete.add_argument("username")
        becomes = delete.add_mutually_exclusive_group()
        becomes.add_argument("--move-to", metavar="USERNAME", help="who gets projects and groups")
        becomes.add_argument("--delete-owned", action="store_true", help="they are deleted too")
        delete.add_argument(
            "--by", metavar="USERNAME", help="who does it; default: the oldest administrator"
        )
        password = self.verb("password", "Set a password; their sessions end.")
        password.add_argument("username")
        _add_password(password)
        taking = self.verb("import", "Make people, all lines of a file or none, without passwords.")
        bulk.add_arguments(taking, "username, email; name, admin, external, state if wanted")
        taking.add_argument(
            "--send-links", action="store_true", help="mail each a link that sets a password"
        )
        self.verb("export", "Everybody, as CSV.")
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

    def approve(self, options: dict[str, Any]) -> None:
        from gitlab.accounts.sign_ups import services

        user = services.approve(user_named(options["username"]), by=None)
        self.show_one(_row(user), f"{user.username} may sign in.")

    def reject(self, options: dict[str, Any]) -> None:
        from gitlab.accounts.sign_ups import services

        user = user_named(options["username"])
        row = _row(user)
        services.reject(user, by=None)
        self.show_one(row, f"{user.username} is rejected, and gone.")

    def delete(self, options: dict[str, Any]) -> None:
        from gitlab.user_deletion import services

        user = user_named(options["username"])
        row = _row(user)
        heir = user_named(options["move_to"]) if options["move_to"] else None
        by = administrator(options["by"])
        waits = services.request(by, user, heir=heir, deletes=options["delete_owned"])
        sentence = "is blocked, and gone when what they own is." if waits else "is gone."
        self.show_one(row, f"{user.username} {sentence}")

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

    def import_(self, options: dict[str, Any]) -> None:
        from gitlab.accounts.password_resets import services as password_resets
        from gitlab.mail import services as mail

        if options["send_links"] and not mail.is_on():
            raise CommandError("No mail is sent here: leave --send-links out, and set passwords.")
        lines = bulk.read(options["file"], required=_COLUMNS[:2], optional=_COLUMNS[2:])
        made: list[str] = []
        taken = bulk.take(lines, lambda line: _make(line, made), dry_run=options["dry_run"])
        if options["send_links"] and not options["dry_run"]:
            for email in made:
                password_resets.ask(email)
        self.show_one(taken._asdict(), bulk.said(taken, dry_run=options["dry_run"]))

    def export(self, options: dict[str, Any]) -> None:
        from gitlab.accounts.models import User
        from gitlab.audit.export import csv_lines

        people = User.objects.filter(user_type=User.Type.HUMAN).order_by("username")
        for line in csv_lines(map(_as_line, people.iterator(2000)), _COLUMNS):
            self.stdout.write(line, ending="")

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


def _as_line(user: User) -> dict[str, Any]:
    return {
        "username": user.username,
        "email": user.email,
        "name": user.name,
        "admin": "true" if user.is_superuser else "false",
        "external": "true" if user.external else "false",
        "state": user.state,
    }


def _make(line: Mapping[str, str], made: list[str]) -> bool:
    """Make somebody; False where somebody of this name and address is there already."""
    from gitlab.accounts import services
    from gitlab.accounts.models import User

    name, email = line["username"].lower(), line["email"].lower()
    if User.objects.filter(username=name, email=email).exists():
        return False
    state = line.get("state", "") or User.State.ACTIVE
    if state not in (User.State.ACTIVE, User.State.BLOCKED):
        raise ValidationError({"state": "active or blocked"})
    user = services.create_user(
        username=name,
        email=email,
        name=line.get("name", ""),
        is_superuser=bulk.flag("admin", line.get("admin", "")),
        external=bulk.flag("external", line.get("external", "")),
    )
    if state == User.State.BLOCKED:
        services.block(user, by=None)
    else:
        made.append(user.email)
    return True


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
