"""The pages of cleanups."""
