"""Who is logging in: each kind of credential is a module with an `identify` of its own.

    identify(username, secret, client_ip=…) -> Identity, or None for what is not of this kind

It raises `tokens.authorizer.LoginRefused` for what is of its kind and does not let anybody in.
"""
