"""What two nodes have to agree about and a proxy between them can spoil, looked at and explained.

A wrong setting shows itself as a 401 or a broken push that nobody understands. Each check here
names the setting and the cure instead.
"""
