"""PostgreSQL as Django's own engine has it, with an end to waiting."""
