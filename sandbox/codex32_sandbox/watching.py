"""What a keeper watches while its program runs: how many it is, and how long all of it computes.

The kernel limits a user's processes, and the processor time of each process. Where a program has a
user that others have, too, or that is never counted (root), it asks the keeper instead for each
process and each thread, by a filter of system calls. Where a program may be several processes, the
keeper adds up what they compute.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import select
import struct

from codex32_sandbox.bare import Socket, receive, send

TYPE_CHECKING = False  # the real one costs 5 ms of every cold start
if TYPE_CHECKING:
    from collections.abc import Iterator

#: ``struct seccomp_notif`` and ``seccomp_notif_resp``, and the calls that fill and take them.
_QUESTION, _REPLY = struct.Struct("QII64s"), struct.Struct("QqiI")
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_CONTINUE = 1
#: How many it may be, and the seconds it may compute; 0 where nobody has to look.
_LIMITS = struct.Struct("Id")
_LONGEST_PATH = 4096
#: Between two looks at the time of a program that is limited.
_LOOK_MILLISECONDS = 100
_TICKS = os.sysconf("SC_CLK_TCK")


def be_watched(
    line: Socket, listener: int | None, most_tasks: int, cpu_seconds: float, home: str
) -> None:
    """Have the keeper at the other end of ``line`` watch this process, and all that it starts.

    ``home`` is the folder of the program where that lies among those of others, else empty.
    """
    letter = _LIMITS.pack(most_tasks, cpu_seconds) + os.fsencode(home)
    send(line, letter, [] if listener is None else [listener])


class Watch:
    """Watches the program that a child of this process runs.

    Args:
      line: Where its limits may come; they come once, before a line of the program is read.
      everyone: Whether all that this process sees is the program's, as in a namespace of its own.

    Attributes:
      exceeded: Whether it computed for longer than it may.
      home: The folder of the program, as far as it was told.
    """

    def __init__(self, line: Socket, *, everyone: bool) -> None:
        self._line = line
        self._everyone = everyone
        self._listener: int | None = None
        self._most_tasks, self._cpu_seconds = 0, 0.0
        self.exceeded = False
        self.home = b""

    def begin(self, poll: select.poll) -> None:
        """Have ``poll`` tell of what is to be looked at."""
        poll.register(self._line.fileno(), select.POLLIN)

    @property
    def pause_milliseconds(self) -> int | None:
        """How long the next look may take to come."""
        return _LOOK_MILLISECONDS if self._cpu_seconds else None

    def look(self, child: int, poll: select.poll, ready: dict[int, int]) -> None:
        """Attend to what ``poll`` told, and to the time that was used."""
        if self._line.fileno() in ready:
            poll.unregister(self._line.fileno())
            told, descriptors = receive(self._line, _LIMITS.size + _LONGEST_PATH, 1)
            self._most_tasks, self._cpu_seconds = _LIMITS.unpack_from(told)
            self.home = told[_LIMITS.size :]
            for listener in descriptors:
                self._listener = listener
                poll.register(listener, select.POLLIN)
        if self._listener is not None and (events := ready.get(self._listener)):
            if events & select.POLLIN:
                self._judge(child)
            else:  # nobody is left who could ask
                poll.unregister(self._listener)
        if self._cpu_seconds:
            self.exceeded = self._computed(child) > self._cpu_seconds

    def _judge(self, child: int) -> None:
        """Answer one question for another process or thread."""
        assert self._listener is not None
        question = bytearray(_QUESTION.size)
        try:
            _call(self._listener, _RECEIVE, question)
            number = _QUESTION.unpack(question)[0]
            tasks = sum(told.tasks for told in self._told(child))
            # Where nothing can be counted there is none beside the first.
            fits = 0 < tasks < self._most_tasks
            error, flags = (0, _CONTINUE) if fits else (-errno.EAGAIN, 0)
            _call(self._listener, _SEND, _REPLY.pack(number, 0, error, flags))
        except FileNotFoundError:
            return  # it was killed as it asked

    def _computed(self, child: int) -> float:
        """Seconds of all that it is, and of what ended and somebody waited for."""
        ours = resource.getrusage(resource.RUSAGE_CHILDREN)
        return ours.ru_utime + ours.ru_stime + sum(told.seconds for told in self._told(child))

    def _told(self, child: int) -> Iterator[_Told]:
        own = str(os.getpid())
        try:
            names = os.listdir("/proc") if self._everyone else [str(child)]
        except OSError:
            return
        for name in names:
            if name.isdigit() and name != own:
                try:
                    with open(f"/proc/{name}/stat", "rb") as file:
                        yield _Told(file.read())
                except OSError:
                    continue  # it ended


def _call(listener: int, request: int, argument: bytes | bytearray) -> None:
    """``fcntl.ioctl``, again where the end of some child interrupts it."""
    while True:
        try:
            fcntl.ioctl(listener, request, argument)
        except InterruptedError:
            continue
        return


class _Told:
    """What the kernel tells of a process.

    Attributes:
      tasks: Its threads.
      seconds: What it computed, and those of its children for which it waited.
    """

    def __init__(self, stat: bytes) -> None:
        values = stat.rpartition(b")")[2].split()
        self.tasks = int(values[17])
        self.seconds = sum(map(int, values[11:15])) / _TICKS
