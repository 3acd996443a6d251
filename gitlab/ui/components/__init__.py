"""The components, each exactly once, by what they are for."""
