"""Directories (LDAP): whose people sign in with the password that they have there.

`door` is what the accounts ask, `connections` speaks with a server, `entries` and `names` are
without I/O, `sync` looks from time to time who is still there. python-ldap and django-auth-ldap are
imported by `connections` alone, and only where a directory is asked: a default installation has
neither.
"""
