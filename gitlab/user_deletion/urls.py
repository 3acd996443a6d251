"""The address of this package's page, below that of a person in the console."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path

from gitlab.user_deletion import views

app_name = "user_deletion"

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/accounts/user/<int:pk>/remove/", admin.site.admin_view(views.remove), name="ask"),
    path("admin/accounts/user/<int:pk>/keep/", admin.site.admin_view(views.keep), name="keep"),
]
