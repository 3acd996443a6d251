"""Pages of tokens: one's own, and those of a project or group."""
