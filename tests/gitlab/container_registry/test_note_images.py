"""``manage.py note_images``: images that came without a push."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces.models import Project

pytestmark = pytest.mark.django_db


def note(file: Any, *arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    try:
        call_command("note_images", str(file), *arguments, stdout=out)
    except SystemExit as error:
        return int(error.code or 0), out.getvalue()
    return 0, out.getvalue()


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
