"""Runners, jobs, and what other projects' jobs are allowed."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from gitlab.access_tokens import job_allowances, job_tokens
from gitlab.access_tokens.models import Job, JobTokenAllowance, Runner
from gitlab.access_tokens.token_text import digest_of
from gitlab.audit.models import AuditEvent
from gitlab.refusals import Conflict, Forbidden, Invalid, NotFound
from workers import tasks

pytestmark = pytest.mark.django_db


@pytest.fixture
def app(alice: Any, bob: Any, carol: Any, make_project: Any) -> Any:
    """Alice maintains it, Bob develops, Carol reports."""
    return make_project("acme/app", maintainers=[alice], developers=[bob], reporters=[carol])


@pytest.fixture
def runner(alice: Any, app: Any) -> Any:
    return job_tokens.create_runner(alice, app, name="dock")[0]


def usable(text: str) -> bool:
    found = job_tokens.find(text)
    return found is not None and found.is_usable


class TestRunners:
    def test_it_works(self, alice: Any, app: Any) -> None:
        runner, text = job_tokens.create_runner(alice, app, name=" dock ")

        assert text.startswith("glrt-t3_")
        assert (runner.name, runner.digest) == ("dock", digest_of(text))
        assert job_tokens.find_runner(text) == runner
        assert list(job_tokens.runners_of(alice, app, active=True)) == [runner]
        event = AuditEvent.objects.get(action="runner.create")
        assert event.target_path == "acme/app"
        assert text not in str(event.details)

    def test_who_may(self, bob: Any, mallory: Any, app: Any, runner: Any) -> None:
        for person, refusal in ((bob, Forbidden), (mallory, NotFound)):
            for ask in (
                lambda p: job_tokens.create_runner(p, app, name="x"),
                lambda p: job_tokens.runners_of(p, app),
                lambda p: job_tokens.get_runner_for(p, app, runner.pk),
                lambda p: job_tokens.revoke_runner(p, runner),
            ):
                with pytest.raises(refusal):
                    ask(person)
        assert Runner.objects.filter(revoked_at=None).count() == 1

    def test_no_bot(self, app: Any, make_access_token: Any) -> None:
        bot = make_access_token(app)[0].user
        with pytest.raises(Forbidden):
            job_tokens.create_runner(bot, app, name="x")

    def test_a_name(self, alice: Any, app: Any) -> None:
        with pytest.raises(Invalid):
            job_tokens.create_runner(alice, app, name=" ")

    def test_revoking_ends_its_jobs(self, alice: Any, app: Any, make_runner: Any) -> None:
        runner, text_of_runner = make_runner(app)
        _, text = job_tokens.start_job(runner, name="build", username="alice")
        for _ in range(2):
            job_tokens.revoke_runner(alice, runner)

        assert not usable(text)
        assert Job.objects.get().status == "canceled"
        assert job_tokens.find_runner(text_of_runner) is None
        with pytest.raises(NotFound):
            job_tokens.start_job(runner, name="build", username="alice")
        assert AuditEvent.objects.filter(action="runner.revoke").count() == 1

    @pytest.mark.parametrize("text", ["", "glrt-unknown", "glpat-x", "glrt-t3_x.0y0000000"])
    def test_an_unknown_one(self, text: str, db: None) -> None:
        assert job_tokens.find_runner(text) is None

    def test_one_of_a_project_that_is_being_deleted(self, app: Any, make_runner: Any) -> None:
        _, text = make_runner(app)
        type(app).objects.update(pending_delete_at=timezone.now())
        assert job_tokens.find_runner(text) is None


class TestJobs:
    def test_it_works(self, runner: Any, bob: Any, app: Any) -> None:
        job, text = job_tokens.start_job(runner, name="build: main", username="Bob")

        assert text.startswith("glcbt-")
        assert (job.status, job.project, job.user) == ("running", app, bob)
        assert job.ends_at - job.started_at == dt.timedelta(hours=1)
        assert job.digest == digest_of(text)
        found = job_tokens.find(text)
        assert found is not None
        assert (found.id, found.project_id, found.owner.pk) == (job.pk, app.pk, bob.pk)
        assert found.is_usable
        runner.refresh_from_db()
        assert runner.last_used_at is not None

    def test_whoever_registered_the_runner_is_behind_it_otherwise(
        self, runner: Any, alice: Any
    ) -> None:
        assert job_tokens.start_job(runner, name="build")[0].user == alice

    def test_only_somebody_who_develops_starts_one(
        self, runner: Any, alice: Any, bob: Any, root: Any, mallory: Any, make_access_token: Any
    ) -> None:
        bot = make_access_token(runner.project)[0].user
        bob.state = "blocked"
        bob.save()
        for name in ("carol", "mallory", "root", "nobody", "bob", bot.username):
            with pytest.raises(Invalid) as refused:
                job_tokens.start_job(runner, name="build", username=name)
            assert refused.value.message_dict.keys() == {"username"}
        assert not Job.objects.exists()

    def test_a_maintainer_who_has_left_starts_none(self, runner: Any, alice: Any) -> None:
        alice.memberships.all().delete()
        with pytest.raises(Invalid):
            job_tokens.start_job(runner, name="build")

    @pytest.mark.parametrize("seconds", [0, -1, 86401])
    def test_how_long(self, runner: Any, seconds: int) -> None:
        with pytest.raises(Invalid):
            job_tokens.start_job(runner, name="build", timeout=dt.timedelta(seconds=seconds))
        assert not Job.objects.exists()

    def test_how_many(self, runner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(job_tokens, "MOST_JOBS", 2)
        jobs = [job_tokens.start_job(runner, name="build")[0] for _ in range(2)]
        with pytest.raises(Conflict):
            job_tokens.start_job(runner, name="build")
        job_tokens.finish_job(runner, jobs[0].pk, "success")
        assert job_tokens.start_job(runner, name="build")

    @pytest.mark.parametrize("status", ["success", "failed", "canceled"])
    def test_it_ends_when_it_is_reported_done(self, runner: Any, status: str) -> None:
        job, text = job_tokens.start_job(runner, name="build")
        done = job_tokens.finish_job(runner, job.pk, status)

        assert (done.status, done.finished_at is not None) == (status, True)
        assert not usable(text)
        assert job_tokens.finish_job(runner, job.pk, "failed").status == status

    def test_it_ends_after_its_time(self, runner: Any) -> None:
        _, text = job_tokens.start_job(runner, name="build")
        assert usable(text)
        Job.objects.update(ends_at=timezone.now())
        assert not usable(text)

    def test_it_ends_where_its_person_is_blocked(self, runner: Any, bob: Any) -> None:
        _, text = job_tokens.start_job(runner, name="build", username="bob")
        bob.state = "blocked"
        bob.save()
        assert not usable(text)

    @pytest.mark.parametrize("status", ["running", "done", ""])
    def test_a_status_that_is_none(self, runner: Any, status: str) -> None:
        job, text = job_tokens.start_job(runner, name="build")
        with pytest.raises(Invalid):
            job_tokens.finish_job(runner, job.pk, status)
        assert usable(text)

    def test_another_runner_may_not(self, runner: Any, alice: Any, app: Any) -> None:
        job, text = job_tokens.start_job(runner, name="build")
        other, _ = job_tokens.create_runner(alice, app, name="other")
        with pytest.raises(NotFound):
            job_tokens.finish_job(other, job.pk, "success")
        assert usable(text)

    def test_a_row_says_no_nonsense(self, runner: Any) -> None:
        job, _ = job_tokens.start_job(runner, name="build")
        for columns in (
            {"status": "done"},
            {"status": "success"},
            {"finished_at": timezone.now()},
        ):
            with pytest.raises(IntegrityError), transaction.atomic():
                Job.objects.filter(pk=job.pk).update(**columns)


class TestSweeping:
    def test_what_nobody_reports_has_failed(self, runner: Any) -> None:
        late, _ = job_tokens.start_job(runner, name="late")
        runs, _ = job_tokens.start_job(runner, name="runs")
        Job.objects.filter(pk=late.pk).update(ends_at=timezone.now())
        for _ in range(2):
            tasks.sweep_jobs()

        statuses = dict(Job.objects.values_list("pk", "status"))
        assert statuses == {late.pk: "failed", runs.pk: "running"}

    def test_old_ones_go_in_batches(self, runner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(job_tokens, "_SWEPT_AT_ONCE", 2)
        jobs = [job_tokens.start_job(runner, name="build")[0] for _ in range(4)]
        for job in jobs[:3]:
            job_tokens.finish_job(runner, job.pk, "success")
        month = timezone.now() - dt.timedelta(days=31)
        Job.objects.filter(status="success").update(ends_at=month)

        assert [job_tokens.sweep() for _ in range(3)] == [2, 1, 0]
        assert list(Job.objects.all()) == [jobs[3]]


class TestAllowances:
    @pytest.fixture
    def lib(self, alice: Any, make_project: Any) -> Any:
        return make_project("zeta/lib", maintainers=[alice])

    def test_it_works(self, alice: Any, app: Any, lib: Any) -> None:
        for _ in range(2):
            job_allowances.add(alice, app, lib)

        assert [row.source for row in job_allowances.of(alice, app)] == [lib]
        assert job_allowances.allowing(lib.pk, [app.pk, 999]) == {app.pk}
        assert job_allowances.allowing(app.pk, [lib.pk]) == set()
        assert AuditEvent.objects.filter(action="job_allowance.add").count() == 1
        job_allowances.remove(alice, app, lib.pk)
        assert job_allowances.allowing(lib.pk, [app.pk]) == set()
        with pytest.raises(NotFound):
            job_allowances.remove(alice, app, lib.pk)

    def test_who_may(self, bob: Any, mallory: Any, app: Any, lib: Any, alice: Any) -> None:
        job_allowances.add(alice, app, lib)
        for person, refusal in ((bob, Forbidden), (mallory, NotFound)):
            for ask in (
                lambda p: job_allowances.add(p, app, lib),
                lambda p: job_allowances.of(p, app),
                lambda p: job_allowances.remove(p, app, lib.pk),
            ):
                with pytest.raises(refusal):
                    ask(person)

    def test_only_what_one_sees(self, alice: Any, app: Any, make_project: Any) -> None:
        hidden = make_project("mallory/hidden")
        with pytest.raises(NotFound):
            job_allowances.add(alice, app, hidden)

    def test_not_itself(self, alice: Any, app: Any) -> None:
        with pytest.raises(Invalid):
            job_allowances.add(alice, app, app)

    def test_how_many(
        self, alice: Any, app: Any, lib: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(job_allowances, "MOST", 0)
        with pytest.raises(Conflict):
            job_allowances.add(alice, app, lib)
        assert not JobTokenAllowance.objects.exists()

    def test_none_costs_no_query(self, django_assert_num_queries: Any) -> None:
        with django_assert_num_queries(0):
            assert job_allowances.allowing(1, []) == set()
