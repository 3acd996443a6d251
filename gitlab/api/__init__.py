"""GitLab's REST API v4: one module a resource, thin over the services that the pages use.

    paths ─► base.Endpoint ─► authentication ─► errors           how a request is answered
             parameters, pagination, lookups, entities           what goes in and out
             projects, groups, users, …                          one module a resource

A handler is described by `base.operation`, which reads its parameters and writes its part of the
schema: so what is documented is what is read.
"""
