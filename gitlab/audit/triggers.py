"""The database itself refuses to change an audit event, and to remove one before its time.

An event's columns are written once; its place in the chain is too, later. Of events only the
beginning of the chain may go, up to where the chain says that it is swept. Who may change the
schema can take the triggers away: then it is the chain that shows what was done.
"""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

CONTENT = (
    "id",
    "actor_id",
    "actor_name",
    "action",
    "target_type",
    "target_id",
    "target_path",
    "details",
    "address",
    "credential",
    "request_id",
    "project_pk",
    "namespace_pk",
    "person_pk",
    "at",
)
"""The columns of an event that say what happened."""

_COLUMNS = ", ".join(CONTENT)
_SWEPT = "COALESCE((SELECT swept FROM audit_auditchain WHERE id = 1), 0)"

CHANGED, SEALED, REMOVED = (
    f"audit_event_is_never_{what}" for what in ("changed", "sealed_again", "removed")
)
NAMES = (CHANGED, SEALED, REMOVED)

_SQLITE = {
    CHANGED: f"BEFORE UPDATE OF {_COLUMNS} ON audit_auditevent",
    SEALED: "BEFORE UPDATE OF chain_position, digest ON audit_auditevent"
    " WHEN OLD.chain_position IS NOT NULL",
    REMOVED: "BEFORE DELETE ON audit_auditevent"
    f" WHEN OLD.chain_position IS NULL OR OLD.chain_position > {_SWEPT}",
}
_POSTGRESQL = {
    CHANGED: f"BEFORE UPDATE OF {_COLUMNS} ON audit_auditevent FOR EACH ROW",
    SEALED: "BEFORE UPDATE OF chain_position, digest ON audit_auditevent FOR EACH ROW"
    " WHEN (OLD.chain_position IS NOT NULL)",
    REMOVED: "BEFORE DELETE ON audit_auditevent FOR EACH ROW",
}
_REFUSE = """
CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
IF TG_OP = 'DELETE' THEN
    IF OLD.chain_position <= {swept} THEN RETURN OLD; END IF;
END IF;
RAISE EXCEPTION 'an audit event is never changed or removed';
END $$
"""


def make(connection: BaseDatabaseWrapper, *names: str) -> None:
    """Make the triggers of these names, by default all of them."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_REFUSE.format(swept=_SWEPT))
        for name in names or NAMES:
            if connection.vendor == "postgresql":
                cursor.execute(
                    f"CREATE TRIGGER {name} {_POSTGRESQL[name]} EXECUTE FUNCTION audit_refuse()"
                )
            else:
                refusal = "SELECT RAISE(ABORT, 'an audit event is never changed or removed')"
                cursor.execute(f"CREATE TRIGGER {name} {_SQLITE[name]} BEGIN {refusal}; END")


def drop(connection: BaseDatabaseWrapper, *names: str) -> None:
    """Take triggers away, by default all of them: for a migration that remakes the table."""
    on = " ON audit_auditevent" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        for name in names or NAMES:
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}{on}")
