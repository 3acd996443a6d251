"""The second factor: codes of an app, passkeys, recovery codes.

allauth has the protocols, the rows and the pages; here are the rules that it does not have: see
decision 28.
"""
