"""Public keys and signatures by the API."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from gitlab.container_registry.signatures.models import PublicKey
from tests.gitlab.api.conftest import Api, assert_refused
from tests.gitlab.container_registry.layers.played_layers import push
from tests.gitlab.container_registry.signatures.signing import (
    by_tag,
    holding,
    new_key,
    new_pem,
    payload,
    pem,
    sign,
    signature_layer,
)

pytestmark = pytest.mark.django_db
KEY = new_key()


@pytest.mark.parametrize("kind", ["project", "group"])
def test_keys_are_added_listed_and_deleted(api: Api, alice: Any, app: Any, kind: str) -> None:
    client = api(alice)
    owner = app.pk if kind == "project" else app.namespace_id
    at = f"{kind}s/{owner}/registry/public_keys"
    made = client.post(at, {"name": "release", "key": pem(KEY)})
    assert made.status_code == 201
    body = made.json()
    assert (body["name"], body["algorithm"], body["key"]) == ("release", "ECDSA P-256", pem(KEY))
    assert client.get(at).json() == [body]
    assert client.get(f"{at}/{body['id']}").json() == body
    assert_refused(client.post(at, {"name": "again", "key": pem(KEY)}), 422, "held already")
    assert_refused(client.post(at, {"name": "x", "key": "text"}), 422, "Key: Paste one")
    assert_refused(client.post(at, {"name": "x"}), 400, "key is missing")
    assert client.delete(f"{at}/{body['id']}").status_code == 204
    assert_refused(client.get(f"{at}/{body['id']}"), 404, "Public Key Not Found")


def test_who_does_not_administer_has_no_keys(
    api: Api, alice: Any, bob: Any, mallory: Any, app: Any
) -> None:
    at = f"projects/{app.pk}/registry/public_keys"
    given = {"name": "x", "key": new_pem()}
    assert_refused(api(bob).post(at, given), 403)
    assert_refused(api(bob).get(at), 403)
    assert_refused(api(mallory).post(at, given), 404)
    assert_refused(api().post(at, given), 401)
    assert_refused(api(alice, "read_api").post(at, given), 403)
    assert not PublicKey.objects.exists()


def test_who_has_signed_a_tag(
    api: Api, alice: Any, carol: Any, mallory: Any, app: Any, web: Any, played: Any
) -> None:
    digest = push(played)
    played.push(web.path, "v1")
    played.now[web.path]["v1"] = dataclasses.replace(played.now[web.path]["v1"], digest=digest)
    at = f"projects/{app.pk}/registry/repositories/{web.pk}/tags/v1/signatures"
    body = api(carol).get(at).json()
    assert (body["verdict"], body["signatures"], body["keys"]) == ("not signed", [], 0)
    content = payload(digest)
    held = holding(played, signature_layer(played, content, sign(KEY, content)))
    by_tag(played, web.path, digest, "sig", held)
    api(alice).post(f"projects/{app.pk}/registry/public_keys", {"name": "release", "key": pem(KEY)})
    body = api(carol).get(at).json()
    assert (body["verdict"], body["digest"], body["keys"]) == ("signed by release", digest, 1)
    (signature,) = body["signatures"]
    assert (signature["state"], signature["key"], signature["digest"]) == (
        "signed",
        "release",
        held,
    )
    assert_refused(api(mallory).get(at), 404)
    assert_refused(api(carol).get(at.replace("v1", "none")), 404, "Tag Not Found")
