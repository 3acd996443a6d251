"""Providers of identities: they say who somebody is, and which groups of theirs they are in.

What a provider says is a `profiles.Profile`; `services.admit` decides by our rules who that is.
"""
