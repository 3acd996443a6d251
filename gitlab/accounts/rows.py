"""A person as a written-out query reads them: enough to decide and to record."""

from __future__ import annotations

from typing import NamedTuple


class PersonRow(NamedTuple):
    """Implements `principals.Person`. `PERSON_COLUMNS` are its columns, of ``accounts_user u``."""

    id: int
    username: str
    name: str
    state: str
    external: bool
    is_superuser: bool
    user_type: str

    @property
    def pk(self) -> int:
        """The id of their row."""
        return self.id

    @property
    def person_id(self) -> int:
        """The same: what the record refers to."""
        return self.id

    @property
    def label(self) -> str:
        """How the record names them."""
        return self.name if self.is_bot else self.username

    @property
    def is_bot(self) -> bool:
        """Whether it is no human."""
        return self.user_type != "human"

    @property
    def is_active(self) -> bool:
        """Whether they may sign in and act."""
        return self.state == "active"

    @property
    def is_authenticated(self) -> bool:
        """True: this is no visitor."""
        return True


PERSON_COLUMNS = "u.id, u.username, u.name, u.state, u.external, u.is_superuser, u.user_type"
