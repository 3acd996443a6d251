"""Berth's hot paths beside Debian's docker-registry: ``make bench``."""
