"""The components, each exactly once. ``{% load ui %}``; the README has an example of every one.

A component with a body is a block (``{% card %}…{% endcard %}``). What belongs elsewhere in it
than its body is put into a slot: ``{% slot "actions" %}…{% endslot %}``, for the nearest block.
"""

from gitlab.ui.components import actions, charts, fields, layout, tables, treemaps, values
from gitlab.ui.components.library import register

__all__ = ["actions", "charts", "fields", "layout", "register", "tables", "treemaps", "values"]
