"""What a check answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Finding:
    """One check. `ok` without a `finding`, or what is wrong, which `setting`, and the `cure`."""

    check: str
    ok: bool = True
    setting: str = ""
    finding: str = ""
    cure: str = ""

    def as_json(self) -> dict[str, str | bool]:
        """The five keys."""
        return asdict(self)


def wrong(check: str, setting: str, finding: str, cure: str) -> Finding:
    """Something has to be done."""
    return Finding(check, False, setting, finding, cure)
