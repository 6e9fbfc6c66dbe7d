"""Programs that do their worst, side by side in one worker: each ends, and harms nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest
from codex32_houses import ServersHouse, descendants, until

pytestmark = [pytest.mark.fault, pytest.mark.timeout(300)]

#: Forks twice into a session of its own; the grandchild notes its id and stays.
FORKS = """\
import os, signal, sys, time

def fork_away(path):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            with open(path + ".part", "w") as file:
                file.write(f"{os.getpid()}\\n")
            os.rename(path + ".part", path)
            while True:
                time.sleep(1)
        os._exit(0)
    os.wait()
    while not os.path.exists(path):
        time.sleep(0.01)
"""
#: Speaks on the channel itself: a kind, a length, JSON.
ANSWER = """\
import os, time

def answer(data):
    os.write(3, b"A" + len(data).to_bytes(4, "big") + data)

"""

#: Code, and how it must end: status, cause, part of the message.
HARSH = {
    "never-returns": (
        "import signal\n"
        "for number in (1, 2, 15):\n    signal.signal(number, signal.SIG_IGN)\n"
        "def main(path):\n    while True:\n        pass\n",
        ("failed", "timeout", "limit of 8 s"),
    ),
    "forks-and-returns": (
        FORKS + "def main(path):\n    fork_away(path)\n    return 1\n",
        ("succeeded", None, ""),
    ),
    "forks-and-stays": (
        FORKS + "def main(path):\n    fork_away(path)\n    time.sleep(1000)\n",
        ("failed", "timeout", "limit of 8 s"),
    ),
    "prints-a-gigabyte": (
        "import os\n"
        "def main(path):\n"
        "    for _ in range(4096):\n"
        "        os.write(1, b'x' * 131072)\n"
        "        os.write(2, b'y\\n' * 65536)\n"
        "    return 1\n",
        ("succeeded", None, ""),
    ),
    "eats-memory": (
        "def main(path):\n    kept = []\n    while True:\n        kept.append(b'x' * 2**24)\n",
        ("failed", "error", "MemoryError"),
    ),
    "closes-its-pipes": (
        "import os\ndef main(path):\n    os.closerange(0, 3)\n    return 1\n",
        ("succeeded", None, ""),
    ),
    "closes-all-it-has": (
        "import os\ndef main(path):\n    os.closerange(0, 250)\n    return 1\n",
        ("failed", "error", "before it answered"),
    ),
    "writes-garbage": (
        ANSWER + "def main(path):\n    answer(b'\\xff{[')\n    os._exit(0)\n",
        ("failed", "error", "no JSON"),
    ),
    "answers-twice": (
        ANSWER + "def main(path):\n    answer(b'{\"output\":1}')\n    return 2\n",
        ("succeeded", None, ""),
    ),
    "answers-too-late": (
        ANSWER + "def main(path):\n    time.sleep(1000)\n    return 1\n",
        ("failed", "timeout", "limit of 8 s"),
    ),
    "answers-and-stays": (
        ANSWER + "def main(path):\n    answer(b'{\"output\":1}')\n    time.sleep(1000)\n",
        ("succeeded", None, ""),
    ),
}
GOOD = "type: python\nwith: {code: 'def main(): return 42'}\n"


def bot(name: str, code: str) -> str:
    limit = "200s" if name == "prints-a-gigabyte" else "8s"
    lines = "".join(f"        {line}\n" for line in code.splitlines())
    return (
        "inputs: {path: {type: string}}\nallow: {memory: 512MiB}\n"
        'output: "${{ steps.harsh.output }}"\nsteps:\n'
        f"  - id: harsh\n    type: python\n    timeout: {limit}\n"
        '    with:\n      args: {path: "${{ inputs.path }}"}\n'
        f"      code: |\n{lines}"
    )


def memory_bytes(pid: int) -> int:
    """The most that a process ever held."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_each_ends_clearly_leaves_nothing_and_harms_nobody(
    servers: ServersHouse, tmp_path: Path
) -> None:
    servers.workers = 1
    servers.environment["CODEX32_WORKER__PROGRAMS"] = "6"
    servers.start()
    (worker,) = [p.pid for name, p in servers.processes.items() if name.startswith("worker")]
    servers.write("good", GOOD)
    for name, (code, _) in HARSH.items():
        servers.write(name, bot(name, code))
    until(lambda: all(servers.bot(name) for name in (*HARSH, "good")), "all bots are live")
    servers.succeed(servers.execute("good"), seconds=60)
    before = memory_bytes(worker)

    ids = {name: servers.execute(name, path=str(tmp_path / name)) for name in HARSH}
    good = [servers.execute("good") for _ in range(5)]
    for each in good:
        assert servers.succeed(each, seconds=120)["output"] == 42

    def over() -> bool:
        return all(servers.execution(each)["finished_at"] for each in ids.values())

    until(over, "all have ended", seconds=240, every=0.5)
    ends = {name: servers.execution(each) for name, each in ids.items()}
    for name, (_, (status, cause, told)) in HARSH.items():
        end = ends[name]
        found = (end["status"], (end["error"] or {}).get("code") if cause else None)
        assert found == (status, cause), f"{name}: {end['message']}"
        assert told in end["message"], name
        assert status == "failed" or end["output"] == 1, name

    left = [text for _, text in descendants(worker) if "codex32-program" in text]
    assert left == [], "a process is left"
    left = [tmp_path / name for name in ("forks-and-returns", "forks-and-stays")]
    grandchildren = [int(line) for file in left for line in file.read_text().split()]
    assert len(grandchildren) == 2
    assert not any(alive(pid) for pid in grandchildren)
    assert memory_bytes(worker) - before < 150 * 1024 * 1024
    assert servers.processes["worker 1"].poll() is None
