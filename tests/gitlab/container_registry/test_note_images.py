"""``manage.py note_images``: images that came without a push."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils.module_loading import import_string

from gitlab.audit.models import AuditEvent
from gitlab.container_registry import imports
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces.models import Namespace, Project
from tokens import names as naming

pytestmark = pytest.mark.django_db


def note(file: Any, *arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    try:
        call_command("note_images", str(file), *arguments, stdout=out)
    except SystemExit as error:
        return int(error.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="can't be read"):
        note(tmp_path / "none")


def test_images_are_noted_in_their_projects(make_project: Any, tmp_path: Path) -> None:
    project = make_project("acme/app")
    owner = project.namespace
    names = tmp_path / "names"
    names.write_text("acme/app\nacme/app/cache\nacme/new\nnobody/x\n")
    code, said = note(names)
    assert code == 1
    assert "2 images are noted." in said
    assert "acme/new" in said
    assert "nobody/x" in said
    assert set(ContainerRepository.objects.values_list("path", flat=True)) == {
        "acme/app",
        "acme/app/cache",
    }
    assert owner.full_path == "acme"
    with pytest.raises(CommandError, match="--owner"):
        note(names, "--create-projects")


def test_projects_are_made_if_wanted(make_person: Any, tmp_path: Path) -> None:
    make_person("alice")
    names = tmp_path / "names"
    names.write_text("alice/new/cache\n")
    for _ in range(2):
        assert note(names, "--create-projects", "--owner", "alice")[0] == 0
    assert Project.objects.filter(full_path="alice/new").count() == 1
    assert ContainerRepository.objects.filter(path="alice/new/cache").count() == 1


def test_groups_are_made_if_wanted(alice: Any, tmp_path: Path) -> None:
    names = tmp_path / "names"
    names.write_text("fresh/app/cache\nfresh/other\nalone\n")
    code, said = note(names, "--create-groups", "--owner", alice.username)
    assert code == 1
    assert "2 images are noted." in said
    assert "alone" in said
    found = Project.objects.filter(full_path__startswith="fresh/").order_by("full_path")
    assert [project.full_path for project in found] == ["fresh/app", "fresh/other"]
    assert Project.objects.filter(namespace__full_path="fresh", visibility="private").count() == 2


NESTED = "fresh/tools/app/cache/arm64\nfresh/tools/app\nfresh/one\nalice/mine/cache\n"


def made(owner: Any) -> tuple[set[str], set[str]]:
    """The groups and projects in which somebody is the owner."""
    groups = Namespace.objects.filter(members__user=owner, members__access_level=50)
    return (
        set(groups.values_list("full_path", flat=True)),
        set(Project.objects.values_list("full_path", flat=True)),
    )


def test_groups_are_nested_as_deep_as_is_said(alice: Any, tmp_path: Path) -> None:
    """A person's own namespace holds no groups: there the project comes next."""
    names = tmp_path / "names"
    names.write_text(NESTED)
    arguments = ("--create", "--owner", alice.username, "--group-levels", "2")
    events, rows = AuditEvent.objects.count(), Namespace.objects.count()
    code, said = note(names, *arguments, "--dry-run", "--format=json")
    dry = json.loads(said)
    assert (code, dry["noted"], dry["left"]) == (0, 4, {})
    assert (events, rows) == (AuditEvent.objects.count(), Namespace.objects.count())
    for _ in range(2):
        code, said = note(names, *arguments, "--format=json")
        assert (code, json.loads(said)["noted"]) == (0, 4)
    groups, projects = made(alice)
    assert groups == {"fresh", "fresh/tools"}
    assert projects == {"fresh/tools/app", "fresh/one", "alice/mine"}
    assert {entry["path"] for entry in dry["made"]} == groups | projects
    assert json.loads(said)["made"] == []
    assert ContainerRepository.objects.count() == 4
    assert Project.objects.filter(visibility="private").count() == 3


def test_what_is_here_counts_before_levels(alice: Any, make_project: Any, tmp_path: Path) -> None:
    make_project("acme/tools")
    names = tmp_path / "names"
    names.write_text("acme/tools/app/cache\nacme/tools/app/cache/arm64\n")
    code, said = note(names, "--create", "--owner", alice.username, "--group-levels", "2")
    assert code == 1
    assert "acme/tools/app/cache/arm64: has more than 2 levels below acme/tools" in said
    assert ContainerRepository.objects.get().path == "acme/tools/app/cache"


CASES = {
    "one": "has no group",
    "Upper/case": "has characters that no client accepts in a name",
    "admin/app": "“admin” is reserved at the top",
    "fresh/uploads": "“uploads” is reserved",
    "fresh/" + "x" * 250: "has more than 255 characters",
    "fresh/a/b/c/d": "has more than 2 levels below fresh/a",
}


def test_what_can_not_be_held_is_told_by_both_rules(make_project: Any, alice: Any) -> None:
    """With GitLab's side, by its groups and projects; on a registry's node by the name alone."""
    make_project("acme/app")
    good = ["fresh/app/cache/arm64", "acme/app", "alice/tags-of/image", "acme/app/tags"]
    assert naming.objections([*CASES, *good]) == CASES
    assert imports.objections([*CASES, *good]) == CASES
    assert imports.objections(["alice", "acme"]) == dict.fromkeys(
        ["alice", "acme"], "is the path of a group, or of a person"
    )


def test_a_node_with_both_sides_asks_gitlab(settings: Any) -> None:
    assert import_string(settings.REGISTRY_IMPORT_OBJECTIONS) is imports.objections


def test_what_is_being_deleted_takes_nothing(make_project: Any) -> None:
    project = make_project("acme/app")
    Project.objects.filter(pk=project.pk).update(pending_delete_at=project.created_at)
    assert imports.objections(["acme/app/cache"]) == {"acme/app/cache": "acme/app is being deleted"}
    Namespace.objects.filter(full_path="acme").update(pending_delete_at=project.created_at)
    assert imports.objections(["acme/new"]) == {"acme/new": "acme is being deleted"}


def test_many_names_cost_few_queries(django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(10):
        assert imports.objections([f"fresh/app{number}" for number in range(300)]) == {}


def test_nothing_is_made_beyond_what_the_owner_may(make_person: Any, tmp_path: Path) -> None:
    make_person("guest", external=True)
    names = tmp_path / "names"
    names.write_text("fresh/app\n")
    code, said = note(names, "--create", "--owner", "guest")
    assert code == 1
    assert "fresh/app: You may not create groups." in said
    assert not Namespace.objects.filter(full_path="fresh").exists()
