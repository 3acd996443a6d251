"""Lighthouse's marks for the pages that people look at most. Its version is pinned beside this."""
