"""Ours, beyond GitLab: the public keys of projects and groups, and who has signed a tag's image."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.api.authentication import person
from gitlab.api.base import Endpoint, operation
from gitlab.api.errors import unprocessable
from gitlab.api.fields import Entity, Moment
from gitlab.api.lookups import administered, missing, repository_for
from gitlab.api.pagination import PageParameters, page_of
from gitlab.api.parameters import Parameters, text
from gitlab.api.registry_tags import tag_for
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.signatures import services, verification
from gitlab.container_registry.signatures.keys import MAX_PEM
from gitlab.container_registry.signatures.models import MAX_NAME, PublicKey
from gitlab.container_registry.signatures.statements import NamedIdentity, NamedKey
from gitlab.namespaces.policies import Ability
from gitlab.principals import Person

_SECTION = "Container registry: signatures, beyond GitLab"


class PublicKeyEntity(Entity):
    """A key whose owner's signatures count in the project, or below the group."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    algorithm = serializers.CharField()
    fingerprint = serializers.CharField(help_text="SHA-256 of its SubjectPublicKeyInfo.")
    key = serializers.CharField(source="pem")
    created_at = Moment()


class ListParameters(PageParameters):
    """A page of keys."""


class NewPublicKey(Parameters):
    """A key to be held."""

    name = text(required=True, max_length=MAX_NAME)
    key = text(required=True, max_length=MAX_PEM, help_text="PEM: ECDSA, RSA or Ed25519.")


class SignatureEntity(Entity):
    """What came of a signature: `state` is `signed` where a key that is held made it for this
    image, `invalid` where it is of another image or malformed, `unknown` where no such key made it.
    """

    state = serializers.CharField(source="checked.state")
    reason = serializers.CharField(source="checked.sentence")
    key = serializers.SerializerMethodField()
    fingerprint = serializers.SerializerMethodField()
    identity = serializers.SerializerMethodField()
    statement = serializers.CharField(
        source="checked.what", help_text="Empty for the image itself, else what is stated of it."
    )
    digest = serializers.CharField(help_text="Of the manifest that holds it.")

    def get_key(self, signature: verification.Signature) -> str | None:
        """The name of the key or identity that made it, or null."""
        return signature.checked.key.name if signature.checked.key else None

    def get_fingerprint(self, signature: verification.Signature) -> str | None:
        """That of the key, or null."""
        key = signature.checked.key
        return key.fingerprint if isinstance(key, NamedKey) else None

    def get_identity(self, signature: verification.Signature) -> str | None:
        """The name in the certificate that made it, as it is held, or null."""
        key = signature.checked.key
        return key.identity if isinstance(key, NamedIdentity) else None


class VerifiedEntity(Entity):
    """Who has signed an image."""

    digest = serializers.SerializerMethodField()
    verdict = serializers.CharField(source="in_words")
    keys = serializers.IntegerField(source="keys_count", help_text="How many keys were tried.")
    more = serializers.BooleanField(source="has_more", help_text="Not all were looked at.")
    signatures = SignatureEntity(many=True)

    def get_digest(self, found: verification.Verified) -> str:
        """Of the image."""
        return str(self.context["digest"])


def _key(by: Person, kind: str, id: int | str, pk: int) -> PublicKey:
    owner = administered(by, kind, id)
    with missing("Public Key"):
        return services.get_for(by, owner, pk)


class PublicKeys(Endpoint):
    """``/projects/:id/registry/public_keys``, and the same of a group"""

    section = _SECTION
    of_both = True

    @operation(
        "List public keys",
        takes=ListParameters,
        gives=PublicKeyEntity,
        many=True,
        refuses=[403, 404],
    )
    def get(self, request: Request, given: dict[str, Any], kind: str, id: int | str) -> Response:
        """Those of the project or group itself, in the order in which they were added."""
        by = person(request)
        rows = services.keys_of(by, administered(by, kind, id))
        page = page_of(request, given, rows, ["id"])
        return page.response(PublicKeyEntity(page.rows, many=True).data)

    @operation(
        "Add a public key",
        takes=NewPublicKey,
        gives=PublicKeyEntity,
        status=201,
        refuses=[403, 404, 422],
    )
    def post(self, request: Request, given: dict[str, Any], kind: str, id: int | str) -> Response:
        """What its owner has signed counts from now on."""
        by = person(request)
        owner = administered(by, kind, id)
        with unprocessable():
            row = services.create(by, owner, **given)
        return Response(PublicKeyEntity(row).data, status=201)


class OnePublicKey(Endpoint):
    """``/projects/:id/registry/public_keys/:key_id``, and the same of a group"""

    section = _SECTION
    of_both = True

    @operation("Show a public key", gives=PublicKeyEntity, refuses=[403, 404])
    def get(self, request: Request, kind: str, id: int | str, key_id: int) -> Response:
        """One of the project or group itself."""
        return Response(PublicKeyEntity(_key(person(request), kind, id, key_id)).data)

    @operation("Delete a public key", status=204, refuses=[403, 404])
    def delete(self, request: Request, kind: str, id: int | str, key_id: int) -> Response:
        """What its owner has signed counts no longer."""
        by = person(request)
        services.delete(by, _key(by, kind, id, key_id))
        return Response(status=204)


class Signatures(Endpoint):
    """``/projects/:id/registry/repositories/:repository_id/tags/:tag_name/signatures``"""

    section = _SECTION
    visitors = True

    @operation("Show who has signed a tag's image", gives=VerifiedEntity, refuses=[404, 503])
    def get(self, request: Request, id: int | str, repository_id: int, tag_name: str) -> Response:
        """As far as the keys of the project and of the groups above it tell. Neither identities nor
        annotations in what was signed are checked, nor certificates and transparency logs.
        """
        row = repository_for(request.user, repository_id, Ability.READ_IMAGE, project=id)
        tag = tag_for(row, tag_name)
        found = verification.of_image(clients.for_pages(), row, tag.digest)
        return Response(VerifiedEntity(found, context={"digest": tag.digest}).data)
