"""The pages of public keys, and of who may sign with a certificate."""
