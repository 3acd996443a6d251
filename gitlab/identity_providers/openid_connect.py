"""Signing in by OpenID Connect: the code flow with PKCE, state and nonce.

Source: OpenID Connect Core 1.0, sections 3.1 and 5.3; Discovery 1.0; RFC 7636 (PKCE); RFC 9207
(the issuer in the answer); RFC 9700 (best practices). The ID token's signature is checked, though
it comes straight from the provider: a proxy between is no provider.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.urls import reverse

from gitlab.config.identity_tables import OpenIDConnect
from gitlab.identity_providers import questions
from gitlab.identity_providers.profiles import (
    LONGEST,
    MOST_GROUPS,
    Profile,
    ProviderRefused,
    ProviderUnavailable,
    Terms,
)
from gitlab.trusted_issuers import discovery, id_tokens, keys
from gitlab.trusted_issuers.discovery import IssuerUnavailable, KeyCache

_LONGEST_CODE = 4096


@dataclass(frozen=True)
class Question:
    """What a browser was sent to a provider with; it comes back with the `state`."""

    provider: str
    state: str
    nonce: str
    verifier: str

    @classmethod
    def new(cls, provider: str) -> Question:
        """One that nobody guesses."""
        return cls(provider, *(secrets.token_urlsafe(32) for _ in range(3)))


def named(provider: str) -> OpenIDConnect | None:
    """The settings of a provider; None where there is none of that name."""
    found: OpenIDConnect | None = settings.IDENTITY_PROVIDERS.get(provider)
    return found


def terms(provider: OpenIDConnect) -> Terms:
    """Who comes in by it, and what that gives them."""
    return Terms(
        create_users=provider.create_users,
        link_by_email=provider.link_by_email,
        allowed_domains=frozenset(domain.lower() for domain in provider.allowed_domains),
        allowed_groups=frozenset(provider.allowed_groups),
        admin_group=provider.admin_group,
        memberships=tuple(provider.given),
    )


def callback_url(provider: str) -> str:
    """Where the browser comes back to: what the provider has to have on its list."""
    path = reverse("identity_providers:callback", args=[provider])
    return f"{settings.EXTERNAL_URL}{path}"


def address(provider: OpenIDConnect, question: Question) -> str:
    """Where the browser goes to sign in. Raises `ProviderUnavailable`."""
    endpoint = _endpoint(_configuration(provider), "authorization_endpoint")
    challenge = hashlib.sha256(question.verifier.encode()).digest()
    asked = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": callback_url(question.provider),
        "scope": " ".join(dict.fromkeys(["openid", *provider.scopes])),
        "state": question.state,
        "nonce": question.nonce,
        "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"


def profile(provider: OpenIDConnect, question: Question, answer: Mapping[str, str]) -> Profile:
    """Who has signed in, by what the browser brings back: `code`, and perhaps `iss`.

    Raises `ProviderRefused`, `ProviderUnavailable`.
    """
    configuration = _configuration(provider)
    _check_issuer(provider, configuration, answer)
    code = answer.get("code", "")
    if not code or len(code) > _LONGEST_CODE:
        raise ProviderRefused(f"it gives no code: {answer.get('error', '')[:80]!r}")
    tokens = _exchange(provider, configuration, question, code)
    claims = _claims(provider, question, tokens.get("id_token"))
    return _profile(provider, question.provider, _complete(configuration, claims, tokens))


def _configuration(provider: OpenIDConnect) -> dict[str, Any]:
    issuer = provider.issuer or ""
    found = questions.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if not isinstance(found, dict) or found.get("issuer") != issuer:
        raise ProviderUnavailable(f"{issuer}: its configuration is another issuer's")
    return found


def _endpoint(configuration: Mapping[str, Any], name: str) -> str:
    """An address of the provider's, as safe as its issuer is."""
    url = configuration.get(name)
    plain = urlsplit(str(configuration["issuer"])).scheme == "http"
    if not isinstance(url, str) or not url.startswith(
        ("https://", "http://") if plain else ("https://",)
    ):
        raise ProviderUnavailable(f"its configuration has no {name} behind https")
    return url


def _check_issuer(
    provider: OpenIDConnect, configuration: Mapping[str, Any], answer: Mapping[str, str]
) -> None:
    """The answer is this provider's and no other's: RFC 9207, section 2.4."""
    said = answer.get("iss")
    promised = configuration.get("authorization_response_iss_parameter_supported") is True
    if (said is None and promised) or (said is not None and said != provider.issuer):
        raise ProviderRefused("the answer is of another issuer")


def _exchange(
    provider: OpenIDConnect, configuration: Mapping[str, Any], question: Question, code: str
) -> dict[str, Any]:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": callback_url(question.provider),
        "code_verifier": question.verifier,
    }
    secret = provider.client_secret.get_secret_value() if provider.client_secret else ""
    methods = configuration.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    basic = bool(secret) and "client_secret_basic" in methods
    if not basic:
        form["client_id"] = provider.client_id
        form |= {"client_secret": secret} if secret else {}
    found = questions.post(
        _endpoint(configuration, "token_endpoint"),
        form,
        auth=(provider.client_id, secret) if basic else None,
    )
    if not isinstance(found, dict):
        raise ProviderUnavailable("its token endpoint answers no object")
    return found


def _claims(provider: OpenIDConnect, question: Question, text: object) -> dict[str, Any]:
    """What the ID token says, once it is known to be the answer to this very question.

    Core, section 3.1.3.7.
    """
    issuer = provider.issuer or ""
    if not isinstance(text, str):
        raise ProviderRefused("it gives no ID token")
    try:
        token = id_tokens.read(text)
        id_tokens.verify(token, KEYS.keys_of(issuer, token.key_id))
        id_tokens.check(token.claims, issuer=issuer, audience=provider.client_id, now=time.time())
    except id_tokens.RefusedToken as error:
        raise ProviderRefused(f"its ID token does not count: {error}") from error
    except IssuerUnavailable as error:
        raise ProviderUnavailable(str(error)) from error
    said = token.claims.get("nonce")
    if not isinstance(said, str) or not secrets.compare_digest(
        said.encode(), question.nonce.encode()
    ):
        raise ProviderRefused("its ID token answers another question: the nonce is wrong")
    if token.claims.get("azp", provider.client_id) != provider.client_id:
        raise ProviderRefused("its ID token was given to another client")
    return dict(token.claims)


def _complete(
    configuration: Mapping[str, Any], claims: dict[str, Any], tokens: Mapping[str, Any]
) -> dict[str, Any]:
    """The claims, with those that the userinfo endpoint adds. What is signed counts before it.

    An address and whether it is verified come from the same of the two.
    """
    access = tokens.get("access_token")
    if not isinstance(access, str) or "userinfo_endpoint" not in configuration:
        return claims
    more = questions.get(_endpoint(configuration, "userinfo_endpoint"), bearer=access)
    if not isinstance(more, dict) or more.get("sub") != claims["sub"]:
        raise ProviderRefused("its userinfo is of somebody else")
    if "email" in claims:
        more.pop("email_verified", None)
    return more | claims


def _profile(provider: OpenIDConnect, name: str, claims: Mapping[str, Any]) -> Profile:
    said = claims.get("email_verified")
    # Some providers send a text. A number is neither.
    verified = said is True or said == "true" or provider.trust_emails
    subject = str(claims["sub"])
    if len(subject) > LONGEST:
        raise ProviderRefused("its subject is longer than any may be")
    return Profile(
        provider=name,
        issuer=provider.issuer or "",
        subject=subject,
        email=_text(claims, "email").lower() if verified else "",
        username=_text(claims, provider.username_claim),
        name=_text(claims, "name"),
        groups=_groups(claims, provider.groups_claim),
    )


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return value.strip()[:LONGEST] if isinstance(value, str) else ""


def _groups(claims: Mapping[str, Any], name: str) -> frozenset[str]:
    """A claim that is elsewhere (Core, section 5.6.2) is missing, and need not be empty."""
    elsewhere = claims.get("_claim_names")
    if isinstance(elsewhere, dict) and name in elsewhere:
        raise ProviderRefused(f"it has too many groups to say: {name} is elsewhere")
    value = claims.get(name, [])
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or len(listed) > MOST_GROUPS:
        raise ProviderRefused(f"{name} is no list of at most {MOST_GROUPS} groups")
    return frozenset(one for one in listed if isinstance(one, str))


def _fetch(issuer: str) -> tuple[keys.Key, ...]:
    try:
        found = questions.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if not isinstance(found, dict) or found.get("issuer") != issuer:
            raise IssuerUnavailable("its configuration is another issuer's")
        return keys.read(questions.get(_endpoint(found, "jwks_uri")))
    except (ProviderUnavailable, keys.UnusableKeys) as error:
        raise IssuerUnavailable(str(error)) from error


KEYS: discovery.KeyCache = KeyCache(_fetch)
"""The providers' keys, those of this process."""
