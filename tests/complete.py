#!/usr/bin/env python3
"""Types a line into an interactive shell, and prints the words that `runner` would have got.

    tests/complete.py bash|zsh SCRIPT LINE

SCRIPT is a completion script, which the shell sources; a tab in LINE completes. Prints one word a
line; fails if the shell does not come to the end of the line in a minute.
"""
import os
import pty
import re
import select
import sys
import time

SHELLS = {
    "bash": (
        ["bash", "--norc", "--noprofile", "-i"],
        "bind 'set bell-style none'; bind 'set enable-bracketed-paste off'; ",
    ),
    "zsh": (["zsh", "-f", "-i"], "autoload -Uz compinit; compinit -D -u; unsetopt beep list_beep; "),
}


class Shell:
    def __init__(self, command):
        self.output = ""
        self.deadline = time.monotonic() + 60
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="dumb", PS1="$ ", COLUMNS="500")
            os.execvp(command[0], command)

    def type(self, text):
        os.write(self.fd, text.encode())

    def wait_for(self, text):
        """Everything that came until then."""
        while text not in self.output:
            left = self.deadline - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                sys.exit(f"{text} does not come; there is:\n{self.output}")
            try:
                self.output += os.read(self.fd, 65536).decode(errors="replace")
            except OSError:
                sys.exit(f"the shell has ended:\n{self.output}")
        before, _, self.output = self.output.partition(text)
        return before


def main(name, script, line):
    command, setup = SHELLS[name]
    shell = Shell(command)
    # The marks are quoted apart, so that the echo of what is typed does not hold them.
    shell.type(
        f"{setup}source '{script}'; "
        "runner() { printf 'G''OT<%s>\\n' \"$@\"; echo DO''NE; }; echo REA''DY\n"
    )
    shell.wait_for("READY")
    shell.type(line + "\n")
    print("\n".join(re.findall(r"GOT<(.*?)>\r?\n", shell.wait_for("DONE"))))
    shell.type("exit\n")
    os.close(shell.fd)
    os.waitpid(shell.pid, 0)


main(sys.argv[1], sys.argv[2], sys.argv[3])
