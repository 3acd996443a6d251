"""The addresses of the API for GitLab. Each ends in a slash."""

from __future__ import annotations

from django.urls import path

import registry.converters  # noqa: F401  (the kinds of pieces below)
from registry.gitlab_v1 import deleted, diagnosis, evidence, garbage, repositories, statistics
from registry.v2.base import UnknownView

urlpatterns = [
    path("gitlab/v1/", repositories.DiscoveryView()),
    path("gitlab/v1/diagnosis/", diagnosis.DiagnosisView()),
    path("gitlab/v1/events/", garbage.EventsView()),
    path("gitlab/v1/garbage/", garbage.QueueView()),
    path("gitlab/v1/garbage/reviews/", garbage.ReviewsView()),
    path("gitlab/v1/garbage/receipts/", garbage.ReceiptsView()),
    path("gitlab/v1/garbage/lease/", evidence.LeaseView()),
    path("gitlab/v1/garbage/verifications/", evidence.VerificationsView()),
    path("gitlab/v1/garbage/why/<reference:digest>", evidence.WhyView()),
    path("gitlab/v1/statistics/", statistics.StatisticsView()),
    path("gitlab/v1/berth/given-up/<name:name>/", repositories.GivenUpView()),
    path("gitlab/v1/repositories/<name:name>/tags/list/", repositories.TagsView()),
    path(
        "gitlab/v1/repositories/<name:name>/tags/<reference:tag>/history/",
        repositories.HistoryView(),
    ),
    path("gitlab/v1/repositories/<name:name>/tags/<reference:tag>/", repositories.TagView()),
    path("gitlab/v1/repositories/<name:name>/restore/", repositories.RestoreView()),
    path("gitlab/v1/repositories/<name:name>/freed/", repositories.FreedView()),
    path("gitlab/v1/repositories/<name:name>/", repositories.RepositoryView()),
    path(
        "gitlab/v1/repository-paths/<name:name>/repositories/list/",
        repositories.DescendantsView(),
    ),
    path("gitlab/v1/repository-paths/<name:name>/tags/deleted/", deleted.DeletedTagsView()),
    path("gitlab/v1/<name:rest>", UnknownView()),
]
