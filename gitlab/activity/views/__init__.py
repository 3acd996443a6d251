"""The pages of what happened lately, and of what one cares about."""
