#!/usr/bin/env python3
"""The benchmark: what the runner adds to the work itself, as ratios within one run.

    eval "$(tests/env/up.sh)"; tests/bench/bench.py build/release/runner [--rounds N] [host] [cache] [docker] [compose]
    [kubernetes] [manifests] [ssh] [server]

kubernetes and manifests need a cluster: up.sh --all. compose compares with docker-compose, and with the
`docker compose` that COMPOSE names or the tests have built.

Prints a Markdown table: what is compared, both medians, the ratio, and the ratio that is wanted.
Exits 1 if one is missed.
"""
import argparse
import datetime
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from cluster import Cluster
from database import Database
from floor import Floor
from measure import Run, ms, pairs, peak_kib, repeated
from servers import Servers

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from service import Service  # noqa: E402

KUBERNETES_MIB = 100
BARE_PODS = 20

PARTS = ["host", "cache", "docker", "compose", "kubernetes", "manifests", "ssh", "server"]
MANIFESTS = 200
HOSTS = 50
SSH_MIB = 300
FOLLOWERS = 1000
FOLLOWED_LINES = 2000  # 200 a second
RUNS_LISTED = 100000
RUNS_RECOVERED = 100
SUBMITTERS = 8
SUBMITS = 2000
SSH_PART_MIB = 10  # after which it comes again: no compression looks so far back

rows = []
missed = []


def row(what, runner, other, value, limit, unit="×", least=False):
    """Without a limit it is there for information."""
    sign = "≥" if least else "≤"
    wanted = "" if limit is None else f"{sign} {limit:g} {unit}"
    rows.append(f"| {what} | {runner} | {other} | {value:.2f} {unit} | {wanted} |")
    print(rows[-1], flush=True)
    if limit is not None and not (value >= limit if least else value <= limit):
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


def moment(text):
    """Seconds since the epoch of a time of RFC 3339."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def duration(state):
    """Seconds of a node of a JSON report."""
    return moment(state["succeed_at"]) - moment(state["started_at"])


def bench_kubernetes(runner, rounds, work):
    os.environ["KUBECONFIG"] = os.environ["RUNNER_TEST_KUBECONFIG"]
    cluster = Cluster()
    (work / "empty").mkdir()
    base = [runner, "exec", "--engine", "kubernetes", "--workdir", str(work / "empty"),
            "--report", f"json={work / 'report.json'}"]
    image = "image: busybox:1.36\n"

    def report(file):
        Run([*base, file])
        return json.loads((work / "report.json").read_text())

    def job(file):
        return report(file)["stages"][0]["jobs"][0]

    many = pipeline(work / "k60.yaml", steps(60, "true"), keys=image)
    a = statistics.median(duration(step) for _ in range(rounds) for step in job(many)["steps"][1:])
    row("a `true` step in a pod", ms(a), "", a * 1000, 50, "ms")

    one = pipeline(work / "k1.yaml", steps(1, "true"), keys=image)
    a, b, ratio = pairs(lambda: duration(job(one)), lambda: cluster.pod(["true"]), rounds)
    row("a job of one `true` step, against a bare pod that runs it", ms(a), ms(b), ratio, 1.15)

    command = f"head -c {KUBERNETES_MIB}m /dev/zero | tr \"\\\\0\" x | fold -w 99"
    log = pipeline(work / "klog.yaml", ["{name: first, command: 'true'}",
                                        f"{{name: print, command: '{command}'}}"], keys=image)
    rates = [KUBERNETES_MIB / duration(job(log)["steps"][1]) for _ in range(rounds)]
    row(f"{KUBERNETES_MIB} MiB of output, in MiB/s", f"{statistics.median(rates):.0f} MiB/s", "",
        statistics.median(rates), 20, "MiB/s", least=True)

    hundred = pipeline(work / "k100.yaml", steps(1, "true"), jobs=100, keys=image)
    text = pathlib.Path(hundred).read_text()
    pathlib.Path(hundred).write_text(text.replace("max_parallel: 50", "max_parallel: 20"))
    # What the cluster itself does for a pod is known from bare ones, for which three are made here.
    before = cluster.requests()
    for _ in range(BARE_PODS):
        cluster.pod(["true"])
    others = (cluster.requests() - before) / BARE_PODS - 3
    before = cluster.requests()
    rss = peak_kib([*base, hundred])
    requests = (cluster.requests() - before) / 100 - others
    row("requests to the API server a job, 100 jobs, 20 at a time", f"{requests:.1f}", "", requests, 15, "")
    row("its peak RSS, in MiB", f"{rss / 1024:.1f}", "", rss / 1024, 40, "MiB")


def compose_chain(path, count, depth):
    """`count` services, of which each but the first needs the one before it in its chain."""
    lines = ["services:"]
    for i in range(count):
        lines.append(f"  s{i}:\n    image: busybox:1.36\n    command: [sleep, '600']\n    init: true")
        if i % depth:
            lines.append(f"    depends_on: [s{i - 1}]")
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def compose_large(path, count):
    text = ["services:"]
    for i in range(count):
        text.append(f"""  service{i}:
    image: "registry.example.org/team/app{i}:${{TAG:-1}}"
    environment: {{NUMBER: "{i}", MODE: "${{MODE:-fast}}"}}
    ports: ["{10000 + i}:80"]
    volumes: ["data:/data", "./conf:/etc/conf:ro"]
    networks: [front]
    healthcheck: {{test: [CMD, "true"], interval: 5s}}""")
    path.write_text("\n".join([*text, "networks: {front: {}}", "volumes: {data: {}}"]) + "\n")
    return str(path)


def current_compose():
    """The path of a current `docker compose`, or None."""
    cache = os.environ.get("RUNNER_TEST_CACHE", "/nonexistent")
    built = sorted(pathlib.Path(cache, "compose").glob("*/docker-compose"))
    return os.environ.get("COMPOSE") or (str(built[-1]) if built else None)


def bench_compose(runner, rounds, work):
    file = compose_chain(work / "compose.yaml", 10, 4)
    own = [runner, "compose"]
    others = [("docker-compose", ["docker-compose"], 0.8)]
    if current_compose():
        others.append(("docker compose", [current_compose()], 1))

    def cycle(tool, project, *options):
        argv = [*tool, "-f", file, "-p", project]
        return Run([*argv, "up", "-d", *options]).seconds + Run([*argv, "down", "-t", "0"]).seconds

    def own_cycle():
        up = Run([*own, "up", "-f", file, "-p", "bench-own"]).seconds
        return up + Run([*own, "down", "-f", file, "-p", "bench-own", "-t", "1"]).seconds

    for name, tool, limit in others:
        a, b, ratio = pairs(own_cycle, lambda: cycle(tool, "bench-other"), rounds)
        row(f"up and down of 10 services, chains of 4, against `{name}`", ms(a), ms(b), ratio, limit)
    for name, tool, _ in others:
        again = [*tool, "-f", file, "-p", "bench-other", "up", "-d"]
        mine = [*own, "up", "-f", file, "-p", "bench-own"]
        a, b, ratio = pairs(lambda: Run(mine).seconds, lambda: Run(again).seconds, rounds)
        Run([*own, "down", "-f", file, "-p", "bench-own", "-t", "1"])
        Run([*tool, "-f", file, "-p", "bench-other", "down", "-t", "0"])
        row(f"`up` when nothing has changed, against `{name}`", ms(a), ms(b), ratio, 0.3)
    up = [*own, "up", "-f", file, "-p", "bench-own"]
    row("peak memory of `up`", "", "", peak_kib(up) / 1024, 20, "MiB")
    Run([*own, "down", "-f", file, "-p", "bench-own", "-t", "1"])
    large = [*own, "config", "-f", compose_large(work / "large.yaml", 500)]
    config = statistics.median(repeated(large, 3) for _ in range(rounds))
    row("`config` of 500 services", "", "", config * 1000, 50, "ms")


def bench_manifests(runner, rounds, work):
    os.environ["KUBECONFIG"] = os.environ["RUNNER_TEST_KUBECONFIG"]
    file = work / "manifests.yaml"
    file.write_text("---\n".join(
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: bench-{i}}}\ndata: {{key: value}}\n"
        for i in range(MANIFESTS)))
    namespaces = []

    def fresh():
        """An empty namespace, so that all of them are created, and the first round is as the last."""
        namespaces.append(f"bench-{os.getpid()}-{len(namespaces)}")
        Run(["kubectl", "create", "namespace", namespaces[-1]])
        return ["-n", namespaces[-1], "-f", str(file)]

    def apply(*argv):
        argv = [*argv, *fresh()]
        return Run(argv).seconds

    try:
        a, b, ratio = pairs(lambda: apply(runner, "apply"), lambda: apply("kubectl", "apply"), rounds)
        row(f"applying {MANIFESTS} ConfigMaps, against `kubectl apply`", ms(a), ms(b), ratio, 0.2)
        row("its peak memory", "", "", peak_kib([runner, "apply", *fresh()]) / 1024, 20, "MiB")
    finally:
        Run(["kubectl", "delete", "namespace", "--wait=false", *namespaces])


def log_text():
    """What a build with tests and a service in it might print; `lz4 -1` leaves 30 % of it."""
    chosen = random.Random(1)
    areas = ["core", "net", "ui", "util", "storage", "auth", "billing", "search"]
    things = ["parser", "client", "buffer", "widget", "table", "index", "session", "queue", "cache"]
    flags = "-std=gnu17 -O2 -g -Wall -Wextra -Iinclude -Ibuild/generated"
    draw = chosen.randrange
    lines, length, now = [], 0, 0
    while length < SSH_PART_MIB << 20:
        area, thing, number = chosen.choice(areas), chosen.choice(things), draw(400)
        name = f"{area}/{thing}_{number}"
        text = chosen.choices([
            lambda: f"[{draw(4000)}/4000] cc {flags} -c src/{name}.c -o build/obj/{name}.o",
            lambda: f"PASS tests/{name}_test.c ({draw(20000) / 1000:.3f} s, {draw(90)} assertions)",
            lambda: f"INFO  [{area}.{thing}] GET /api/v1/{area}/{draw(100000)} 200 {draw(50000)} bytes "
                    f"in {draw(9000) / 10:.1f} ms",
            lambda: f"DEBUG [{area}.{thing}] request {chosen.getrandbits(64):016x} took {draw(90000)} us",
            lambda: f"Downloaded https://packages.example.org/{area}/{thing}-{number % 9}.tar.gz "
                    f"sha256:{chosen.getrandbits(128):032x}",
            lambda: f"warning: src/{name}.c:{draw(900)}: unused variable '{thing}_{draw(9)}'",
        ], weights=[5, 5, 3, 1, 1, 2])[0]()
        now += draw(60)
        clock = f"{now // 3600000 % 24:02d}:{now // 60000 % 60:02d}:{now // 1000 % 60:02d}.{now % 1000:03d}"
        lines.append(f"2026-03-01T{clock}Z {text}\n")
        length += len(lines[-1])
    return "".join(lines).encode()[:SSH_PART_MIB << 20]


def repeat(path, part):
    """A file of SSH_MIB."""
    with open(path, "wb") as file:
        for _ in range(SSH_MIB // SSH_PART_MIB):
            file.write(part)
    return path


def bench_ssh(runner, rounds, work):
    base = [runner, "exec", "--report", f"json={work / 'report.json'}"]

    def durations(file):
        Run([*base, file])
        job = json.loads((work / "report.json").read_text())["stages"][0]["jobs"][0]
        return [duration(step) for step in job["steps"]]

    with Servers(work, HOSTS) as servers:
        servers.begin_control()
        engine = f'engine: "{servers.url()}"\n'
        many = pipeline(work / "ssh60.yaml", steps(60, "true"), keys=engine)
        a, b, ratio = pairs(lambda: statistics.median(durations(many)[1:]),
                            lambda: repeated(servers.client("true"), 20), rounds)
        row("a `true` step on a host, against `ssh` over a master", ms(a), ms(b), ratio, 1.1)

        def output(file, what, limit):
            """The speed at which a file that a step prints comes."""
            cat = pipeline(work / "sshcat.yaml", ["{name: first, command: 'true'}",
                                                  f"{{name: cat, command: 'cat {file}'}}"], keys=engine)
            a, b, ratio = pairs(lambda: durations(cat)[1],
                                lambda: Run(servers.client(f"cat {file}")).seconds, rounds)
            row(f"{SSH_MIB} MiB of {what}: speed, against `ssh host cat`", ms(a), ms(b), 1 / ratio, limit,
                least=True)

        output(repeat(work / "log", log_text()), "output, a log", 0.8)
        noise = random.Random(SSH_MIB).randbytes(SSH_PART_MIB << 20)
        output(repeat(work / "noise", noise), "output that cannot be compressed", None)
        servers.end_control()

        hosts = ", ".join(f'{{name: h{i}, engine: "{servers.url(i)}"}}' for i in range(HOSTS))
        fan = work / "ssh50.yaml"
        fan.write_text(f"name: bench\nhosts: [{hosts}]\nstages: [{{name: s, jobs: [{{name: j, "
                       f"run_on: all, max_parallel: {HOSTS}, "
                       f"steps: [{', '.join(steps(3, 'echo hello'))}]}}]}}]\n")
        each = " ".join(["ssh", *servers.options, "$0", "echo hello"])
        shell = ["sh", "-c", f"echo {' '.join(servers.addresses)} | xargs -P{HOSTS} -n1 "
                             f"sh -c '{each} && {each} && {each}'"]
        a, b, ratio = pairs(lambda: Run([*base, str(fan)]).seconds, lambda: Run(shell).seconds, rounds)
        row(f"3 steps on each of {HOSTS} hosts, against `xargs -P{HOSTS} ssh`", ms(a), ms(b), ratio, 0.7)
        rss = peak_kib([*base, str(fan)])
        row("its peak RSS, in MiB", f"{rss / 1024:.1f}", "", rss / 1024, 60, "MiB")


def one_step(command):
    """A pipeline as text."""
    return json.dumps({"name": "bench", "stages": [{"name": "s", "jobs": [
        {"name": "j", "steps": [{"name": "t", "command": command}]}]}]})


def bench_followers(service, tests, kind):
    go = service.work / f"go-{kind}"
    run = service.submit(one_step(
        f"until [ -e {go} ]; do sleep 0.01; done; i=0; while [ $i -lt {FOLLOWED_LINES} ]; do "
        f"n=0; while [ $n -lt 20 ]; do i=$((i + 1)); n=$((n + 1)); "
        f"printf 'line %07d and some more words, as many as a line has\\n' $i; done; sleep 0.1; done"))
    command = [tests / "followers", kind, str(service.port), run, str(FOLLOWERS), str(FOLLOWED_LINES)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as followers:
        followers.stdout.readline()
        cpu, begin = service.cpu_seconds(), time.monotonic()
        go.touch()
        answer = json.loads(followers.stdout.readline())
        cpu, wall = service.cpu_seconds() - cpu, time.monotonic() - begin
    row(f"{FOLLOWERS:,} followers ({kind}) of 200 lines/s: those that got all, once", "", "",
        answer["complete"], FOLLOWERS, "", least=True)
    row("the server's share of a processor meanwhile", "", "", cpu / wall, 0.5, "")


def bench_submits(runner, work):
    """Into a queue whose only place is taken: what runs would need the processor, too."""
    ids, gate = [], work / "submitted"
    with Service(runner, work, max_concurrent=1) as service:
        service.submit(one_step(f"until [ -e {gate} ]; do sleep 0.5; done"))

        def submit():
            link = service.connect()
            for _ in range(SUBMITS // SUBMITTERS):
                ids.append(service.submit(one_step("true"), link))

        threads = [threading.Thread(target=submit) for _ in range(SUBMITTERS)]
        begin = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rate = len(ids) / (time.monotonic() - begin)
        row("submits a second, each on the disk", f"{rate:.0f}", "", rate, 500, "", least=True)
        service.kill()
        service.start()
        known = {run["id"] for run in service.list()}
        row("of these lost by `kill -9` behind the last", "", "", len(set(ids) - known), 0, "")
        service.call("POST", "/api/v1/pipelines/batch/cancel", {"ids": ids})
        gate.touch()
        service.wait(lambda: not service.list(status="running"))


def bench_start(service, rounds):
    """From before the request until the first step starts."""
    times = []
    for _ in range(rounds * 5):
        begin = time.time()
        run = service.submit(one_step("true"))
        service.wait(lambda: service.show(run)["status"] == "succeeded")
        step = service.show(run)["stages"][0]["jobs"][0]["steps"][0]
        times.append(moment(step["started_at"]) - begin)
    row("from the submission to the start of the first step", "", "",
        statistics.median(times) * 1000, 10, "ms")


def bench_recovery(service, work):
    gate = work / "recovered"
    runs = [service.submit(one_step(f"until [ -e {gate} ]; do sleep 0.5; done"))
            for _ in range(RUNS_RECOVERED)]
    service.wait(lambda: len(service.list(status="running")) >= len(runs))
    service.kill()
    begin = time.monotonic()
    service.start()
    service.wait(lambda: service.call("GET", "/api/v1/queue/stats")[1]["current_concurrent"] == len(runs))
    seconds = time.monotonic() - begin
    row(f"{RUNS_RECOVERED} running runs are known again after `kill -9`", "", "", seconds, 2, "s")
    gate.touch()
    service.wait(lambda: not service.list(status="running"))
    ended = [service.show(run)["status"] for run in runs]
    row("of these succeeded then", "", "", ended.count("succeeded"), len(runs), "", least=True)


def bench_pages(runner, rounds, work, store, what):
    """One after the other, of a store that is filled for it."""
    tests = pathlib.Path(runner).resolve().parent / "tests"
    subprocess.run([tests / "store_bench", store or work / "history" / "runs.db", str(RUNS_LISTED)],
                   check=True, stdout=subprocess.DEVNULL)
    with Service(runner, work, store=store) as service:
        link, times = service.connect(), []
        for i in range(rounds * 20):
            begin = time.monotonic()
            status, answer = service.call("GET", f"/api/v1/pipelines?limit=100&offset={i * 100}", None, link)
            times.append(time.monotonic() - begin)
            assert status == 200 and len(answer["data"]) == 100 and answer["total"] >= RUNS_LISTED
        row(f"a page of 100 among {RUNS_LISTED:,} runs{what}", "", "", statistics.median(times) * 1000, 10, "ms")


def bench_server(runner, rounds, work):
    tests = pathlib.Path(runner).resolve().parent / "tests"
    with Service(runner, work) as service:
        bench_start(service, rounds)
        for kind in ("sse", "ws"):
            bench_followers(service, tests, kind)
        row("its peak RSS", "", "", service.rss_mib(), 60, "MiB")
        bench_recovery(service, work)
    bench_submits(runner, work)
    bench_pages(runner, rounds, work, None, "")
    with Database() as database:
        bench_pages(runner, rounds, work, database.url, ", of PostgreSQL")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runner")
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS])
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
