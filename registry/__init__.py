"""The registry's side: OCI distribution 1.1, docker v2, and an API for GitLab."""

VERSION = "0.1.0"
