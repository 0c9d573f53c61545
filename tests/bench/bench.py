#!/usr/bin/env python3
"""The benchmark: what the runner adds to the work itself, as ratios within one run.

    eval "$(tests/env/up.sh)"; tests/bench/bench.py build/release/runner [--rounds N] [host] [cache] [docker]

Prints a Markdown table: what is compared, both medians, the ratio, and the ratio that is wanted.
Exits 1 if one is missed.
"""
import argparse
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile

from floor import Floor
from measure import Run, ms, pairs, peak_kib, repeated

rows = []
missed = []


def row(what, runner, other, value, limit, unit="×", least=False):
    good = value >= limit if least else value <= limit
    sign = "≥" if least else "≤"
    rows.append(f"| {what} | {runner} | {other} | {value:.2f} {unit} | {sign} {limit:g} {unit} |")
    print(rows[-1], flush=True)
    if not good:
        missed.append(what)


def pipeline(path, steps, jobs=1, keys=""):
    """A file with `jobs` parallel jobs of the given steps (YAML flow mappings)."""
    text = ", ".join(steps)
    lines = [f"name: bench\n{keys}stages:\n  - name: s\n    max_parallel: 50\n    jobs:\n"]
    lines += [f"      - {{name: j{i}, steps: [{text}]}}\n" for i in range(jobs)]
    path.write_text("".join(lines))
    return str(path)


def steps(count, command):
    return [f"{{name: s{i}, command: '{command}'}}" for i in range(count)]


def graph(path, count):
    """One job of `count` steps, each of which needs three of the two hundred before it."""
    chosen = random.Random(count)
    rows = []
    for i in range(count):
        needs = {chosen.randrange(max(0, i - 200), i) for _ in range(3)} if i else set()
        names = ", ".join(f"s{n}" for n in sorted(needs))
        rows.append(f"{{name: s{i}, command: 'true', depends_on: [{names}]}}")
    return pipeline(path, rows)


def bench_graph(runner, rounds, work):
    times = []
    for count in (5000, 10000, 20000):
        path = graph(work / f"graph{count}.yaml", count)
        times.append(min(Run([runner, "validate", path]).seconds for _ in range(rounds + 4)))
    row("planning a graph of 10,000 steps and 30,000 edges", "", "", times[1] * 1000, 100, "ms")
    # Linear: twice the steps take twice the time, 5,000 to 10,000 to 20,000.
    row("a graph of 20,000 steps against one of 5,000 (4 × is linear)", ms(times[2]), ms(times[0]),
        times[2] / times[0], 5)


def bench_host(runner, rounds, work):
    one = pipeline(work / "one.yaml", steps(1, "true"))
    a, b, ratio = pairs(
        lambda: repeated([runner, "exec", one], 100),
        lambda: repeated(["sh", "-c", "true"], 100),
        rounds,
    )
    row("one host step `true`, against `sh -c true`", ms(a), ms(b), ratio, 10)
    row("its peak memory", "", "", peak_kib([runner, "exec", one]) / 1024, 12, "MiB")

    many = pipeline(work / "many.yaml", steps(1, "true"), jobs=1000)
    a, b, ratio = pairs(
        lambda: Run([runner, "exec", many]).seconds,
        lambda: Run(["sh", "-c", "seq 1000 | xargs -P50 -I{} sh -c true"]).seconds,
        rounds,
    )
    row("1,000 steps `true`, 50 at a time, against `xargs -P50`", ms(a), ms(b), ratio, 1.5)

    sizes = []
    for count in (5000, 10000, 20000):
        path = pipeline(work / f"{count}.yaml", steps(10, "true"), jobs=count // 10)
        seconds = statistics.median(Run([runner, "validate", path]).seconds for _ in range(rounds))
        sizes.append((seconds, peak_kib([runner, "validate", path])))
    row("validating 10,000 steps", "", "", sizes[1][0] * 1000, 150, "ms")
    row("its memory for each further step", "", "", (sizes[2][1] - sizes[0][1]) / 15000, 2, "KiB")
    files = [str(work / "5000.yaml"), str(work / "20000.yaml")]
    peaks = [peak_kib([runner, "exec", f]) for f in files]
    row("running: memory for each further step", "", "", (peaks[1] - peaks[0]) / 15000, 2, "KiB")

    bench_graph(runner, rounds, work)

    evaluate = pathlib.Path(runner).parent / "tests" / "expr_eval"
    rate = int(subprocess.run([evaluate], stdout=subprocess.PIPE, check=True).stdout)
    row("evaluating a condition with two comparisons, in millions a second", "", "", rate / 1e6, 1,
        unit="M", least=True)

    big = work / "gigabyte"
    line = b"the quick brown fox jumps over the lazy dog and runs on for a while longer than that\n"
    with open(big, "wb") as file:
        for _ in range(1024):
            file.write(line * (1024 * 1024 // len(line)))
    cat = pipeline(work / "cat.yaml", [f"{{name: a, command: 'cat {big}'}}"])
    out = str(work / "out")

    def to_file(argv):
        seconds = Run(argv, stdout=out).seconds
        os.unlink(out)
        return seconds

    a, b, ratio = pairs(
        lambda: to_file([runner, "exec", cat]),
        lambda: to_file(["sh", "-c", f"cat {big} | cat"]),
        rounds,
    )
    row("1 GB of output: throughput, against `cat` through a pipe to a file", ms(a), ms(b),
        1 / ratio, 0.5, least=True)
    row("its peak memory", "", "", peak_kib([runner, "exec", cat], out) / 1024, 12, "MiB")

    # Secrets as they are, from 8 characters to a key of several lines.
    names = [f"SECRET_{i}" for i in range(100)]
    for i, name in enumerate(names):
        alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"
        letters = random.Random(i).choices(alphabet, k=8 + i % 40)
        os.environ[name] = "".join(letters) + ("\nsecond line\n" if i % 10 == 0 else "")
    masked = pipeline(work / "masked.yaml", [f"{{name: a, command: 'cat {big}'}}"],
                      keys=f"secrets: {{{', '.join(names)}}}\n")
    a, b, ratio = pairs(
        lambda: to_file([runner, "exec", masked]),
        lambda: to_file([runner, "exec", cat]),
        rounds,
    )
    row("1 GB of output with 100 secrets: throughput, against none", ms(a), ms(b), 1 / ratio, 0.6,
        least=True)
    row("its peak memory", "", "", peak_kib([runner, "exec", masked], out) / 1024, 24, "MiB")


def make_tree(root):
    """10,000 files of 20 kB, half of which can be compressed."""
    chosen = random.Random(1)
    letters = b"abcdefghijklmnopqrstuvwxyz"
    words = [bytes(chosen.choices(letters, k=chosen.randint(2, 9))) for _ in range(5000)]
    for i in range(10000):
        folder = root / f"d{i // 100}"
        folder.mkdir(parents=True, exist_ok=True)
        text = b" ".join(chosen.choices(words, k=2000))[:10000]
        (folder / f"f{i}").write_bytes(text + chosen.randbytes(10000))


def bench_cache(runner, rounds, _):
    # In memory: how long a disk takes to hold 140 MB for certain, which tar does not ask for, says
    # nothing about either.
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        work = pathlib.Path(memory)
        make_tree(work / "tree")
        runs = {}
        for policy in ("push", "pull"):
            (work / policy).mkdir()
            cache = f"{{key: bench, paths: [tree], policy: {policy}}}"
            path = work / f"{policy}.yaml"
            path.write_text(f"name: bench\nworkdir: {work / policy}\nstages: [{{name: s, jobs: "
                            f"[{{name: j, cache: {cache}, steps: [{{name: t, command: 'true'}}]}}]}}]")
            runs[policy] = [runner, "exec", "--cache-dir", str(work / "store"), str(path)]
        (work / "tree").rename(work / "push" / "tree")

        def fresh(argv, remove):
            subprocess.run(["rm", "-rf", *map(str, remove)], check=True)
            return Run(argv).seconds

        archive = str(work / "tree.tar.zst")
        a, b, ratio = pairs(
            lambda: fresh(runs["push"], [work / "store"]),
            lambda: fresh(["tar", "--zstd", "-C", str(work / "push"), "-cf", archive, "tree"],
                          [archive]),
            rounds,
        )
        row("saving a cache of 10,000 files, 200 MB: speed, against `tar --zstd`", ms(a), ms(b),
            1 / ratio, 0.8, least=True)
        out = work / "out"
        out.mkdir()
        a, b, ratio = pairs(
            lambda: fresh(runs["pull"], [work / "pull" / "tree"]),
            lambda: fresh(["tar", "--zstd", "-C", str(out), "-xf", archive], [out / "tree"]),
            rounds,
        )
        row("restoring it: speed, against `tar --zstd -x`", ms(a), ms(b), 1 / ratio, 0.8,
            least=True)


def bench_docker(runner, rounds, work):
    docker_run = ["docker", "run", "--rm", "busybox:1.36", "true"]

    def plain():
        return repeated(docker_run, 5)

    def marginal(command, keys="", few=20, many=40):
        """Seconds that one more step costs."""
        files = [
            pipeline(work / f"d{n}.yaml", steps(n, command), keys="image: busybox:1.36\n" + keys)
            for n in (few, many)
        ]
        seconds = [Run([runner, "exec", file]).seconds for file in files]
        return (seconds[1] - seconds[0]) / (many - few)

    a, b, ratio = pairs(lambda: marginal("true"), plain, rounds)
    row("one more `true` step in a container of its own, against `docker run --rm`", ms(a), ms(b),
        ratio, 0.35)
    # A step in a shared container takes so little that 20 of them drown in the noise.
    shared = "isolation: job\n"
    a, b, ratio = pairs(lambda: marginal("true", shared, 20, 220), plain, rounds)
    row("one more `true` step in `isolation: job`, against `docker run --rm`", ms(a), ms(b), ratio,
        0.15)
    a, b, ratio = pairs(lambda: marginal("sleep 0.2") - 0.2, plain, rounds)
    row("what a step of `sleep 0.2` adds to its 0.2 s, against `docker run --rm`", ms(a), ms(b),
        ratio, 0.15)

    floor = Floor()
    a, b, ratio = pairs(lambda: sum(floor.step() for _ in range(5)) / 5, plain, rounds)
    floor.close()
    rows.append(f"| the bare API calls of one container step, against `docker run --rm` | {ms(a)} "
                f"| {ms(b)} | {ratio:.2f} × | |")
    print(rows[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runner")
    parser.add_argument("parts", nargs="*", choices=[[], "host", "cache", "docker"])
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    runner = str(pathlib.Path(args.runner).resolve())
    print("| what | runner | other | ratio | wanted |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as work:
        for part in args.parts or ["host", "cache", "docker"]:
            globals()[f"bench_{part}"](runner, args.rounds, pathlib.Path(work))
    if missed:
        print("\nmissed: " + "; ".join(missed), file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
