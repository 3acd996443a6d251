"""Which version of Berth this is."""

VERSION = "0.1.0"
