"""The pages of the record: what happened, at each place where it is shown."""
