"""Settings: defaults, then files, then the environment, then flags."""
