"""SQLite as Django's own engine has it, with writers that take turns."""
