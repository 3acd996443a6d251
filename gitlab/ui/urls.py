"""Addresses of the look itself; included at the root."""

from django.urls import path

from . import views

app_name = "ui"

urlpatterns = [
    path("-/components", views.components, name="components"),
    path("-/theme", views.switch_theme, name="theme"),
]
