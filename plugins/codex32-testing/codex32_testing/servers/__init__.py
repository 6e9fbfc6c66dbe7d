"""Servers on this machine that behave like the services whose wire they speak, and misbehave.

Each keeps what really happened there, so that a test can tell a message that was posted from one
that was only asked for. ``server.misbehave(Fault.…)`` spoils the next answers, one each.
"""
