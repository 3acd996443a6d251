"""Somebody who is signed in lets a provider say who they are, or no longer."""
