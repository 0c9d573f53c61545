"""Timing of whole processes, side by side.

Commands that are compared run in turn, A B A B …, so that both see the same moments of a noisy
machine; what is reported is the median of the ratios of neighbours.
"""
import os
import statistics
import tempfile
import time

DEVNULL = os.open(os.devnull, os.O_RDWR)


class Run:
    """One finished process: wall seconds."""

    def __init__(self, argv, stdout=None):
        out = DEVNULL if stdout is None else os.open(stdout, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        actions = [
            (os.POSIX_SPAWN_DUP2, DEVNULL, 0),
            (os.POSIX_SPAWN_DUP2, out, 1),
            (os.POSIX_SPAWN_DUP2, DEVNULL, 2),
        ]
        started = time.monotonic()
        pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=actions)
        _, status = os.waitpid(pid, 0)
        self.seconds = time.monotonic() - started
        if out != DEVNULL:
            os.close(out)
        if status != 0:
            code = os.waitstatus_to_exitcode(status)
            raise SystemExit(f"{' '.join(argv)} ended with status {code}")


def peak_kib(argv, stdout=None):
    """Peak resident KiB. Measured by time(1), because what this interpreter starts inherits the
    interpreter's own peak."""
    with tempfile.NamedTemporaryFile("r") as figure:
        Run(["/usr/bin/time", "-q", "-f", "%M", "-o", figure.name, *argv], stdout)
        return int(figure.read())


def repeated(argv, times):
    """Seconds of one of `times` runs in a row, for commands too short to time alone."""
    return sum(Run(argv).seconds for _ in range(times)) / times


def pairs(a, b, rounds):
    """Calls a() and b(), which return seconds, in turn. Returns medians of a, b and a / b."""
    a(), b()
    results = [(a(), b()) for _ in range(rounds)]
    return (
        statistics.median(x for x, _ in results),
        statistics.median(y for _, y in results),
        statistics.median(x / y for x, y in results),
    )


def ms(seconds):
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"
