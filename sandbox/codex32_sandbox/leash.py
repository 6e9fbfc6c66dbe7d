"""Started as ``python -I -S …/leash.py FD FOLDER COMMAND…``.

Carries out a command with the streams that it is given itself, and ends as it does. When the
channel ``FD`` closes, because whoever started it wants so or is gone, the command is told to end,
and after a while it is ended. In either case so is all that it has started. ``FOLDER`` is where
this package lies.
"""

import contextlib
import os
import signal
import sys

#: A command that stands for something elsewhere, such as ``docker run``, has to end that first.
_GRACE_SECONDS = 5.0


def _carry_out(command: list[str]) -> None:
    """Become the command, which finds signals as any program does."""
    os.setsid()
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is what is wanted
    except (OSError, ValueError) as error:
        os.write(2, f"{command[0]}: {error}\n".encode(errors="replace"))
    os._exit(127)


if __name__ == "__main__":
    sys.path.append(sys.argv[2])
    from codex32_sandbox.keeping import end_descendants, wait_for

    channel = int(sys.argv[1])
    os.set_inheritable(channel, False)
    if sys.platform == "linux":
        from codex32_sandbox import calls

        calls.name_process("codex32-leash")
        calls.adopt_orphans()
    child = os.fork()
    if child == 0:
        _carry_out(sys.argv[3:])
    # Whoever reads what the command says shall be told that it is over when it is.
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    code = wait_for(child, channel, _GRACE_SECONDS)
    if sys.platform == "linux":
        end_descendants()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
    os._exit(code if code >= 0 else 128 - code)
