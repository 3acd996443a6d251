"""Protection rules in the console: seen there, made in the pages of their owners."""

from __future__ import annotations

from django.contrib import admin

from gitlab.container_registry.protection.models import RepositoryRule, TagRule
from gitlab.ui.console import ReadOnlyAdmin

_LEVELS = ("minimum_access_level_for_push", "minimum_access_level_for_delete")


class _RuleAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "owner", *_LEVELS, "created_at")
    list_select_related = ("project", "namespace")
    list_filter = _LEVELS
    search_fields = ("project__full_path", "namespace__full_path")
    fields = ("__str__", "owner", *_LEVELS, "created_at")
    readonly_fields = fields


@admin.register(RepositoryRule)
class RepositoryRuleAdmin(_RuleAdmin):
    """Which images are protected, everywhere."""


@admin.register(TagRule)
class TagRuleAdmin(_RuleAdmin):
    """Which tags are protected, everywhere."""
