"""``python -m codex32`` is the command ``codex32``."""

from codex32.cli.main import main

if __name__ == "__main__":
    main()
