"""The house's own plugin: bot types, triggers, notifiers and secret stores that need no SDK."""
