"""Run pip so that it can start no process: ``python -I …/without_builds.py ARGUMENT…``.

``--only-binary :all:`` holds for what is found in an index, and not for a dependency that a wheel
names by its address; pip would build that, and so run its code. Building always needs a process.
"""

import runpy
import sys

_STARTING = frozenset({"subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "os.system"})


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event in _STARTING:
        raise PermissionError("only wheels are installed, so this installer builds nothing")


if __name__ == "__main__":
    sys.addaudithook(_refuse)
    sys.argv[0] = "pip"
    runpy.run_module("pip", run_name="__main__", alter_sys=True)
