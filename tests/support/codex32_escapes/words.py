"""Programs that call the kernel past Python, or say to the house what no program says.

They are written as those of ``corpus.py``.
"""

#: Calls of the kernel that Python does not offer, or offers for something better.
CALLS = {
    "opens by a newer call": (
        "return call(437, -100, given['file'].encode(), struct.pack('QQQ', 0, 0, 0), 24) >= 0"
    ),
    "makes a file without a name beside the prey": (
        "return os.open(given['folder'], os.O_TMPFILE | os.O_RDWR, 0o600) >= 0"
    ),
    "lists a folder that it only points at": (
        "os.fchdir(os.open(given['folder'], os.O_PATH))\n return os.listdir('.')"
    ),
    "asks what is noted about a file": "return os.listxattr(given['file']) is not None",
    "gives memory away and keeps it": (
        "page = ctypes.create_string_buffer(8)\n"
        " piece = struct.pack('PN', ctypes.addressof(page), 1)\n"
        " return libc.vmsplice(os.pipe()[1], piece, 1, 0) > 0"
    ),
    "makes rules that nobody counts": "return call(444, struct.pack('Q', 1), 8, 0) >= 0",
    "filters its own calls": (
        "code = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 0x7fff0000))\n"
        " head = struct.pack('HxxxxxxP', 1, ctypes.addressof(code))\n"
        " return libc.prctl(22, 2, head) == 0 or call(\n"
        "  317 if os.uname().machine == 'x86_64' else 277, 1, 0, head) == 0"
    ),
    # A descriptor that is none is no fault where nothing was done.
    "holds up all who write to disks": "return libc.syncfs(-1) != 0",
    "speaks out of band": "return socket.socketpair()[0].send(b'x', socket.MSG_OOB)",
    "speaks to the house out of band": (
        "return socket.socket(fileno=os.dup(3)).send(b'x', socket.MSG_OOB)"
    ),
    "lists what is mounted": (
        "found = (ctypes.c_uint64 * 9)()\n"
        " return call(458, struct.pack('IIQQQ', 32, 0, 2 ** 64 - 1, 0, 0), found, 9, 0) >= 0"
    ),
    "takes hold of who made its channel": (
        "line = socket.socket(fileno=os.dup(3))\n"
        " maker = struct.unpack('i', line.getsockopt(1, 77, 4))[0]\n"
        " asked = struct.pack('Q', 63) + bytes(72)\n"
        " return (call(424, maker, 9, 0, 0) == 0 or call(438, maker, 0, 0) >= 0\n"
        "  or libc.ioctl(maker, 0xC050FF0B, asked) == 0\n"
        "  or [n for n in range(0xFF01, 0xFF0B) if libc.ioctl(maker, n, 0) >= 0])"
    ),
    "speaks every other language": (
        "return [(family, kind) for family in range(3, 50) if family != 10\n"
        "  for kind in (1, 2, 3, 5) if libc.socket(family, kind, 0) >= 0]"
    ),
    "signals a thread of the worker": (
        "tkill, tgkill = (200, 234) if os.uname().machine == 'x86_64' else (130, 131)\n"
        " pid = given['pid']\n"
        " return call(tkill, pid, 0) == 0 or call(tgkill, pid, pid, 0) == 0"
    ),
    "interrupts the first process": "os.kill(1, signal.SIGINT)\n return not given['apart']",
    "reads who listens": (
        "return [n for n in ('tcp', 'unix') if open(f'/proc/net/{n}').read().count('\\n') > 1]"
    ),
    "connects as it sends": (
        "return socket.socket().sendto(b'x', 0x20000000, ('127.0.0.1', given['redis']))"
    ),
    "asks for the locks of the worker": (
        "head, size = ctypes.c_void_p(), ctypes.c_size_t()\n"
        " number = 274 if os.uname().machine == 'x86_64' else 100\n"
        " return call(number, given['pid'], ctypes.byref(head), ctypes.byref(size)) == 0"
    ),
    "outlives its parent": "return libc.prctl(1, 0) == 0 and not given['apart']",
    "knows the machine by name": "return given['apart'] and socket.gethostname() != 'localhost'",
    "has itself spared": (
        "return [n for n in ('oom_score_adj', 'uid_map', 'loginuid', 'timerslack_ns')\n"
        "  if open(f'/proc/self/{n}', 'w').write('-1000')]"
    ),
    "reads what the kernel keeps": (
        "return [open(f'/proc/{n}', 'rb').read(1) for n in ('kcore', 'kallsyms', 'keys')]"
    ),
    "goes by a thread's own root": "return os.listdir('/proc/thread-self/' + 'root/home')",
}
#: What comes over the channel, or in place of an answer.
WORDS = {
    "answers with an infinite number": (
        "text = b'{\"output\":1e999}'\n"
        " os.write(3, b'A' + struct.pack('>I', len(text)) + text)\n time.sleep(1)"
    ),
    "answers with no number": "return float('nan')",
    "remembers an infinite number": (
        'text = b\'["state",{"key":"a","value":1e999}]\'\n'
        " os.write(3, b'T' + struct.pack('>I', len(text)) + text)"
    ),
    "says what is no word": "while True: os.write(3, (b'Z' + bytes(4)) * 9_000)",
    "says empty words": "while True: os.write(3, (b'T' + bytes(4)) * 9_000)",
    "begins as if it were to hand something over": (
        "while True: os.write(3, b'L' + struct.pack('>I', 1) + b'1')"
    ),
    "crashes": "ctypes.string_at(0)",
    "leaves without a word": "os._exit(0)",
    "stops itself": "os.kill(os.getpid(), signal.SIGSTOP)",
    "raises what cannot be told": (
        "class Fault(Exception):\n  def __str__(self): return str(self)\n raise Fault"
    ),
    "raises what is never told": (
        "class Fault(Exception):\n  def __str__(self):\n   while True: pass\n raise Fault"
    ),
    "raises in a ring": (
        "first, second = ValueError(1), ValueError(2)\n"
        " first.__cause__, second.__cause__ = second, first\n raise first"
    ),
    "raises a chain without end": (
        "fault = None\n"
        " for n in range(30_000):\n"
        "  last, fault = fault, ValueError(n)\n"
        "  fault.__cause__ = last\n"
        " raise fault"
    ),
    "answers with a text that is none": (
        "class Text(str):\n"
        "  def __str__(self): raise SystemExit\n"
        "  def encode(self, *a): return os.environ\n"
        " print(Text('x'))"
    ),
    "answers with names that are none": "return {(1, 2): 3}",
    "says no more and goes on": (
        "socket.socket(fileno=os.dup(3)).shutdown(socket.SHUT_WR)\n time.sleep(60)"
    ),
    "puts another in place of its channel": "os.dup2(1, 3)",
    "breaks Python for who calls it": (
        "import builtins\n"
        " for name in ('len', 'isinstance', 'open', 'BaseException', '__import__'):\n"
        "  setattr(builtins, name, None)\n"
        " os._exit = sys.modules['json'] = None"
    ),
    "leaves something for its end": (
        "import atexit, threading\n"
        " class Last:\n"
        "  def __del__(self):\n   while True: pass\n"
        " sys.last = Last()\n"
        " atexit.register(time.sleep, 99)\n"
        " threading._register_atexit(time.sleep, 99)"
    ),
}
