"""Where an announcement is put away."""

from django.urls import URLPattern, path

from gitlab.broadcast_messages import views

app_name = "broadcast_messages"

urlpatterns: list[URLPattern] = [
    path("-/broadcast_messages/<int:pk>/dismiss", views.dismiss, name="dismiss"),
]
