"""Doors, not rooms: each task calls the rule that it is named after. The queue is in the rows."""

from __future__ import annotations

import logging

from celery import shared_task

from gitlab.access_tokens import expiry, job_tokens
from gitlab.accounts import login_waits, sessions
from gitlab.accounts.password_resets import services as password_resets
from gitlab.audit import chain, denials, retention, stream
from gitlab.container_registry import (
    bulk_deletion,
    deletion,
    events,
    garbage,
    revocations,
    untagged,
)
from gitlab.container_registry.cleanup import cadence, collecting, requests
from gitlab.container_registry.cleanup import runs as cleanup
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.layers import jobs as layers
from gitlab.container_registry.layers import requests as layer_requests
from gitlab.identity_providers import absence
from gitlab.identity_providers.directories import sync as directories
from gitlab.jobs import enqueue
from gitlab.jobs.leases import Outcome
from gitlab.mail import services as mail
from gitlab.path_changes import services as path_changes
from gitlab.quotas import notices
from gitlab.storage import measuring
from workers import measures

log = logging.getLogger(__name__)


@shared_task
def delete_container_repository(pk: int) -> None:
    """Delete one image, if it waits for that and nobody else is at it."""
    outcome = deletion.delete_repository(pk)
    measures.DELETIONS.labels(outcome.name.lower()).inc()
    if outcome is not Outcome.NOT_OURS:
        log.info("deletion of container repository %s: %s", pk, outcome.value)


@shared_task
def sweep_deletions() -> None:
    """Ring for each image whose turn it is, and finish projects that have none left."""
    for pk in deletion.due():
        enqueue.now(deletion.TASK, pk)
    for pk in bulk_deletion.due():
        enqueue.now(bulk_deletion.TASK, pk)


@shared_task
def delete_tags_in_bulk(pk: int) -> None:
    """Delete the tags that somebody has asked for by criteria, if nobody else is at it."""
    outcome = bulk_deletion.run(pk)
    if outcome is not Outcome.NOT_OURS:
        log.info("bulk deletion of tags %s: %s", pk, outcome.value)


@shared_task
def sweep_cleanups() -> None:
    """Open the cleanups whose time has come, and enqueue those whose turn it is."""
    opened = cadence.open_due()
    if opened:
        log.info("%s cleanups are planned by their policies", opened)
    for pk in cleanup.due():
        enqueue.now(requests.TASK, pk)


@shared_task
def run_cleanup(pk: int) -> None:
    """Give a cleanup its turn, if nobody else is at it."""
    outcome = cleanup.run(pk)
    if outcome is not Outcome.NOT_OURS:
        log.info("cleanup %s: %s", pk, outcome.value)


@shared_task
def sweep_file_jobs() -> None:
    """Enqueue the readings of layers whose turn it is; what nobody has looked at for long goes."""
    for pk in layers.due():
        enqueue.now(layer_requests.TASK, pk)


@shared_task
def read_layers(pk: int) -> None:
    """Read what is in an image's layers, if nobody else is at it."""
    outcome = layers.run(pk)
    if outcome is not Outcome.NOT_OURS:
        log.info("reading of layers %s: %s", pk, outcome.value)


@shared_task
def tell_revocations() -> None:
    """Tell the registry which tokens have ended. One that does not answer is told next time."""
    try:
        told = revocations.tell()
    except (RegistryUnavailable, RegistryRefused) as error:
        log.warning("the registry was not told which tokens have ended: %s", error)
        return
    if told:
        log.info("the registry was told of %s revocations", told)


@shared_task
def finish_path_changes() -> None:
    """Finish what somebody has begun to rename and the registry did not answer to."""
    path_changes.finish_all()


@shared_task
def read_events() -> None:
    """Read what has happened in the registry, so that every image that is there is known.

    New ones are then told what their project wants kept.
    """
    try:
        events.read(readers={**events.READERS, "storage": measuring.note})
        untagged.tell()
    except (RegistryUnavailable, RegistryRefused) as error:
        log.warning("the registry's events were not read: %s", error)


@shared_task
def review_garbage() -> None:
    """Have the registry review what is due, and note of cleanups what has really gone.

    A registry that does not answer is asked next time.
    """
    try:
        garbage.collect()
        collecting.note_collected()
    except RegistryUnavailable as error:
        log.warning("garbage was not reviewed: %s", error)
    except RegistryRefused as error:
        # A setting is wrong on one of the two sides, so somebody has to look.
        log.error("the registry refuses to review garbage: %s", error)


@shared_task
def verify_slice() -> None:
    """Have the registry compare the next of its rows with its bytes. It logs what is wrong
    itself.
    """
    try:
        faults = garbage.verify()
    except (RegistryUnavailable, RegistryRefused) as error:
        log.warning("nothing was verified: %s", error)
        return
    if faults:
        log.error("the registry has found %s faults in its store: GET /gitlab/v1/garbage/", faults)


@shared_task
def deactivate_absent() -> None:
    """Let those rest who don't come by their provider any more."""
    count = absence.sweep()
    if count:
        log.info("%s people have not come by their provider for long", count)


@shared_task
def sync_directories() -> None:
    """Let people have what directories say of them by now, and block who is gone there."""
    count = directories.sync()
    if count:
        log.info("%s people were looked up in directories", count)


@shared_task
def sweep_sessions() -> None:
    """Remove what sessions that are over have left, and waits after failed logins."""
    sessions.sweep()
    login_waits.sweep()


@shared_task
def sweep_jobs() -> None:
    """End the CI jobs that nobody has reported in time, and remove the oldest."""
    job_tokens.sweep()


@shared_task
def warn_of_expiry() -> None:
    """Have people told of tokens that end soon."""
    told = expiry.warn()
    if told:
        log.info("people are told of %s tokens that end soon", told)


@shared_task
def warn_of_quotas() -> None:
    """Have owners told of limits that are nearly used up."""
    try:
        told = notices.warn()
    except (RegistryUnavailable, RegistryRefused) as error:
        log.warning("what is used of the quotas can't be said: %s", error)
        return
    if told:
        log.info("people are told of %s limits that are nearly used up", told)


@shared_task
def measure_storage() -> None:
    """Measure what is stored where that is due."""
    try:
        done = measuring.measure()
    except (RegistryUnavailable, RegistryRefused) as error:
        log.warning("what is stored was not measured: %s", error)
        return
    if done:
        log.info("what is stored was measured of %s projects, groups and images", done)


@shared_task
def send_mail() -> None:
    """Send the mails that are due, links for forgotten passwords among them."""
    password_resets.answer()
    sent = mail.send_due()
    if sent:
        log.info("sent %s mails", sent)


@shared_task
def seal_audit_events() -> None:
    """Give the audit events that are new their places in the chain, and send them on."""
    chain.seal()
    try:
        stream.send_on()
    except OSError as error:
        log.warning("audit events could not be sent on, and will be: %s", error)


@shared_task
def sweep_audit_events() -> None:
    """Remove the audit events and the denials whose time is over."""
    denials.sweep()
    gone = retention.sweep()
    if gone:
        log.info("removed %s audit events whose time was over", gone)
