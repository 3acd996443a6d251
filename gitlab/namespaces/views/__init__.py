"""The pages of groups and projects."""
