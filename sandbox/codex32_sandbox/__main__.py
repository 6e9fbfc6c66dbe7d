"""Started as ``python -I -S …/codex32_sandbox/__main__.py FD LEVEL FOLDER…``.

``FOLDER`` is where packages of the house lie that are needed here; once they are imported, Python
looks for modules in its own library alone again.
"""

import sys

if __name__ == "__main__":
    library = list(sys.path)
    sys.path += sys.argv[3:]

    from codex32_sandbox import bare, cell, zygote

    sys.path[:] = [path for path in library if not path.endswith("codex32_sandbox")]
    if cell.LINUX:
        from codex32_sandbox import calls

        calls.adopt_orphans()
        calls.name_process("codex32-zygote")
    line = bare.Socket(fileno=int(sys.argv[1]))
    zygote.Zygote(line, sys.argv[2]).run()
