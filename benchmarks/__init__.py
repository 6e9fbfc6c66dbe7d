"""How fast Codex-32 is, beside bare Dramatiq in the same minutes: ``python -m benchmarks``."""
