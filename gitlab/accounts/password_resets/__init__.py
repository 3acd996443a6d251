"""Passwords that were forgotten: a link by mail, allauth's, by our rules of names and passwords."""
