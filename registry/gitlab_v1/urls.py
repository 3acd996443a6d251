"""The addresses of the API for GitLab. Each ends in a slash."""

from __future__ import annotations

from django.urls import path

import registry.converters  # noqa: F401  (the kinds of pieces below)
from registry.gitlab_v1 import (
    deleted,
    diagnosis,
    events,
    garbage,
    manifests,
    overview,
    pulls,
    repositories,
    revocations,
    search,
    statistics,
    tags,
    under_way,
    verifications,
)
from registry.v2.base import UnknownView

urlpatterns = [
    path("gitlab/v1/", repositories.DiscoveryView()),
    path("gitlab/v1/diagnosis/", diagnosis.DiagnosisView()),
    path("gitlab/v1/events/", events.EventsView()),
    path("gitlab/v1/garbage/", garbage.QueueView()),
    path("gitlab/v1/garbage/reviews/", garbage.ReviewsView()),
    path("gitlab/v1/garbage/receipts/", garbage.ReceiptsView()),
    path("gitlab/v1/garbage/lease/", garbage.LeaseView()),
    path("gitlab/v1/garbage/verifications/", verifications.VerificationsView()),
    path("gitlab/v1/garbage/why/<reference:digest>", garbage.WhyView()),
    path("gitlab/v1/garbage/causes/<str:cause>", garbage.CausesView()),
    path("gitlab/v1/revocations/", revocations.RevocationsView()),
    path("gitlab/v1/statistics/", statistics.StatisticsView()),
    path("gitlab/v1/usage/", statistics.UsageView()),
    path("gitlab/v1/search/", search.SearchView()),
    # Calls of our own: what is called stands first and the name last, whatever words it holds.
    path("gitlab/v1/berth/", repositories.DiscoveryView()),
    path("gitlab/v1/berth/repository/<name:name>/", repositories.RepositoryView()),
    path("gitlab/v1/berth/tags/<name:name>/", tags.TagsView()),
    path("gitlab/v1/berth/ages/<name:name>/", tags.AgesView()),
    path("gitlab/v1/berth/tag/<name:name>/", tags.TagView()),
    path("gitlab/v1/berth/manifests/<name:name>/", manifests.ManifestsView()),
    path("gitlab/v1/berth/shared-blobs/<name:name>/", manifests.SharedBlobsView()),
    path("gitlab/v1/berth/blobs/<name:name>/", manifests.BlobsView()),
    path("gitlab/v1/berth/overview/<name:name>/", overview.OverviewView()),
    path("gitlab/v1/berth/delete-tags/<name:name>/", tags.DeleteTagsView()),
    path("gitlab/v1/berth/history/<name:name>/", tags.HistoryView()),
    path("gitlab/v1/berth/pulls/<name:name>/", pulls.PullsView()),
    path("gitlab/v1/berth/freed/<name:name>/", deleted.FreedView()),
    path("gitlab/v1/berth/shares/<name:name>/", statistics.SharesView()),
    path("gitlab/v1/berth/under-way/<name:name>/", under_way.UnderWayView()),
    path("gitlab/v1/berth/holders/<name:name>/", garbage.HoldersView()),
    path("gitlab/v1/berth/untagged/<name:name>/", deleted.UntaggedView()),
    path("gitlab/v1/berth/delete-untagged/<name:name>/", deleted.DeleteUntaggedView()),
    path("gitlab/v1/berth/deleted-tags/<name:name>/", deleted.DeletedTagsView()),
    path("gitlab/v1/berth/restore/<name:name>/", deleted.RestoreView()),
    path("gitlab/v1/berth/descendants/<name:name>/", repositories.DescendantsView()),
    path("gitlab/v1/berth/given-up/<name:name>/", repositories.GivenUpView()),
    # Where GitLab's client has them. An image that ends in their words is found above.
    path("gitlab/v1/repositories/<name:name>/tags/list/", tags.TagsView()),
    path("gitlab/v1/repositories/<name:name>/", repositories.RepositoryView()),
    path(
        "gitlab/v1/repository-paths/<name:name>/repositories/list/",
        repositories.DescendantsView(),
    ),
    path("gitlab/v1/<name:rest>", UnknownView()),
]
