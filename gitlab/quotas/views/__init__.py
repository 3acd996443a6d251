"""The pages of storage and its limits."""
