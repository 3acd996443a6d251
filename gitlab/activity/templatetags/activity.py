"""What the pages of other rooms show of this one."""

from __future__ import annotations

from typing import Any

from django import template
from django.template import Context
from django.urls import reverse

from gitlab.activity import stars
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces.models import Project

register = template.Library()


@register.inclusion_tag("activity/_looks_for_pushes.html")
def pushes(project: Project, image: ContainerRepository | None = None) -> dict[str, Any]:
    """What is being pushed to a project, or to one image of it: fetched once the page is there."""
    at: dict[str, Any] = {"path": project.full_path}
    if image is None:
        return {"url": reverse("activity:pushes", kwargs=at)}
    url = reverse("activity:image_pushes", kwargs={**at, "pk": image.pk})
    return {"url": url, "is_image": True}


@register.inclusion_tag("activity/_star.html", takes_context=True)
def star(context: Context, project: Project) -> dict[str, Any]:
    """The button that makes a project a favourite, for who is signed in."""
    user = context["request"].user
    return {
        "csrf_token": context.get("csrf_token", ""),
        "url": reverse("activity:star", kwargs={"path": project.full_path}),
        "is_starred": stars.is_starred(user, project),
        "is_signed_in": user.is_authenticated,
    }
