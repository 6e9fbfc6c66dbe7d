"""The place in the file system of a suite that is made in memory; see ``check``."""
