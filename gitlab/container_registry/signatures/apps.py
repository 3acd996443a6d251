"""The Django app of public keys and of what they have signed."""

from django.apps import AppConfig


class SignaturesConfig(AppConfig):
    """Who signed an image, as far as that can be checked by keys that are held."""

    name = "gitlab.container_registry.signatures"
    label = "signatures"
    verbose_name = "Signatures"
