"""The page of one's own sessions. The rules are in `gitlab.accounts.sessions`."""
