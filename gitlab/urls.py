"""Every address that a process of this role answers, put together from names."""

from django.conf import settings
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = []
if "registry" in settings.ROLES:
    urlpatterns += [path("", include("registry.urls"))]
if "web" in settings.ROLES:
    from gitlab.activity.views import home
    from gitlab.admin_area import site
    from gitlab.search import views as search

    urlpatterns += [
        path("", include("tokens.urls")),
        path("", home.home, name="home"),
        path("search", search.index, name="search"),
        path("", include("gitlab.admin_area.urls")),
        path("", include("gitlab.record.urls")),
        path("admin/", site.discover().urls),
        path("", include("gitlab.ui.urls")),
        path("", include("gitlab.broadcast_messages.urls")),
        path("", include("gitlab.accounts.urls")),
        path("", include("gitlab.accounts.factors.urls")),
        path("", include("gitlab.accounts.password_resets.urls")),
        path("", include("gitlab.identity_providers.urls")),
        path("", include("gitlab.access_tokens.urls")),
        path("", include("gitlab.trusted_issuers.urls")),
        path("", include("gitlab.container_registry.urls")),
        path("", include("gitlab.container_registry.cleanup.urls")),
        path("", include("gitlab.container_registry.layers.urls")),
        path("", include("gitlab.container_registry.protection.urls")),
        path("", include("gitlab.container_registry.signatures.urls")),
        path("", include("gitlab.quotas.urls")),
        path("", include("gitlab.path_changes.urls")),
        path("", include("gitlab.activity.urls")),
        path("", include("gitlab.api.urls")),
        # Last, since a group's or project's page is any path that is left.
        path("", include("gitlab.namespaces.urls")),
    ]
    handler400 = "gitlab.ui.views.bad_request"
    handler403 = "gitlab.ui.views.permission_denied"
    handler404 = "gitlab.ui.views.page_not_found"
    handler500 = "gitlab.ui.views.server_error"
else:
    # Nobody reads pages here: whatever goes wrong is said in the protocol's form.
    handler400 = "registry.v2.base.bad_request"
    handler404 = "registry.v2.base.page_not_found"
    handler500 = "registry.v2.base.server_error"
