"""PostgreSQL as Django's own engine has it, with an end to waiting."""

PATIENCE = "patience"
"""The option that says how long; here, so that who has no PostgreSQL loads no psycopg for it."""
