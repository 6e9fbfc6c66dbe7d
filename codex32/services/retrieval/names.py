"""What collections may be called."""

import re

NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
