"""The core's migrations: numbered scripts, read by path and never imported."""
