"""Executions: starting, looking, deciding, doing again."""
