"""The Django app of people."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Users, sign-in, passwords."""

    name = "gitlab.accounts"
    label = "accounts"
    verbose_name = "Users"
