"""What scripts/check-waits asks of the simulator, of /proc and of the server's log.

    waits.py order BASE_URL JOBS DUE     places the tasks of so many jobs at the simulator
    waits.py ticks PIDFILE PID           CPU used by the server and by everything that PID started
    waits.py report LOG FOLDER MARK USED BURNED LEFT SETTLED_AFTER
                                         prints the table; exit status 1 when a limit is missed
"""

import glob
import json
import os
import re
import sys
import urllib.request

OURS = {"stuck-sweeper", "orphan-recoverer", "storage-mirrorer", "ledger-reconciler"}
APPLICATION = "pgbench"
P99_LIMIT, CONNECTION_LIMIT = 1.5, 4


def order(base, jobs, due):
    def task(name, number):
        return {"provider": "kie", "endpoint": "market", "task_id": name, "file_bytes": 2000,
                "outcome": "fail" if number % 2 else "succeed"}

    tasks = [task(f"tw{n}", n) for n in range(1, int(jobs) + 1)]
    tasks += [task(f"tdue-{n}", n) for n in range(1, int(due) + 1)]
    for start in range(0, len(tasks), 5000):
        request = urllib.request.Request(
            base + "/control/tasks", json.dumps(tasks[start:start + 5000]).encode(),
            {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=120).read()


def ticks(pidfile, pid):
    with open(pidfile) as file:
        roots = {int(file.readline()), int(pid)}
    stats = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path) as file:
                text = file.read()
        except OSError:
            continue
        words = text.rpartition(")")[2].split()
        # Its own time and that of the children that it has waited for.
        stats[int(path.split("/")[2])] = (int(words[1]), sum(map(int, words[11:15])))
    found, more = set(), roots
    while more:
        found |= more
        more = {child for child, (parent, _) in stats.items() if parent in more} - found
    print(sum(stats[each][1] for each in found if each in stats))


def latencies(folder, name):
    """Milliseconds of each call, without what it waited for its turn at the client."""
    found = []
    for path in glob.glob(f"{folder}/bench/{name}.[0-9]*"):
        with open(path) as file:
            for line in file:
                words = line.split()
                found.append((int(words[2]) - int(words[6])) / 1000)
    return sorted(found)


def percentile(values, share):
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


def connections(lines):
    """How many of our programs were connected at once, at most."""
    now, most = set(), 0
    for line in lines:
        pid = re.search(r"\[(\d+)\]", line)
        authorized = re.search(r"connection authorized: .*application_name=(\S+)", line)
        if authorized and authorized[1] in OURS:
            now.add(pid[1])
        elif "disconnection:" in line and pid:
            now.discard(pid[1])
        most = max(most, len(now))
    return most


def waits(lines):
    """Waits of more than 50 ms: of the application on ours, of ours, and of others."""
    names, found = {}, {"on_ours": [], "ours": 0, "others": 0}
    for number, line in enumerate(lines):
        authorized = re.search(r"\[(\d+)\] .*connection authorized: .*application_name=(\S+)", line)
        if authorized:
            names[authorized[1]] = authorized[2]
        waiting = re.search(r"process (\d+) still waiting for (.*) after ([\d.]+) ms", line)
        if not waiting:
            continue
        who = names.get(waiting[1], "")
        rest = "".join(lines[number + 1:number + 12])
        holders = re.search(r"holding the lock: ([\d, ]+)", rest)
        by = {names.get(pid.strip(), "") for pid in holders[1].split(",")} if holders else set()
        if who in OURS:
            found["ours"] += 1
        elif who == APPLICATION and by & OURS:
            inner = re.search(r'SQL statement "(\s*\S[^\n]*)', rest)
            outer = re.search(r"STATEMENT:  ([^\n]*)", rest)
            found["on_ours"].append(
                f"{waiting[2]}, held by {', '.join(sorted(by & OURS))}, wanted by "
                f"{' in '.join(each[1].strip()[:150] for each in (inner, outer) if each)}")
        else:
            found["others"] += 1
    return found


def report(log, folder, mark, used, burned, left, settled_after):
    with open(log, "rb") as file:
        whole = file.read()
    lines = whole.decode("utf-8", "replace").splitlines(keepends=True)
    last = whole[int(mark):].decode("utf-8", "replace").splitlines(keepends=True)
    beside, burning = latencies(folder, "runs"), latencies(folder, "burners")
    busy, alone = latencies(folder, "busy"), latencies(folder, "alone")
    found, most = waits(lines), connections(last)
    with open(f"{folder}/runs") as file:
        runs = sum(1 for _ in file)
    ratio = percentile(beside, 0.99) / percentile(burning, 0.99)
    missed = []

    def row(name, value, limit="", holds=True):
        print(f"{name:<52}{value:>24}  {limit:<12}{'' if holds else 'MISSED'}")
        if not holds:
            missed.append(name)

    print(f"{'':<52}{'':>24}  limit")
    row("waits of the application for a run's lock, > 50 ms", len(found["on_ours"]), "0",
        not found["on_ours"])
    row("waits of runs for a lock, > 50 ms", found["ours"])
    row("waits of the application for itself, > 50 ms", found["others"])
    for name, values in (("alone", alone), (f"beside {runs} runs, 12 at once", beside),
                         ("beside 12 burners", burning), ("one busy account, 200/s", busy)):
        row(f"calls {name}: p50, p99, max ms ({len(values)})",
            f"{percentile(values, 0.5):.1f}, {percentile(values, 0.99):.1f}, "
            f"{values[-1] if values else float('nan'):.0f}")
    row("p99 beside runs / beside burners", f"{ratio:.2f}", f"{P99_LIMIT}", ratio <= P99_LIMIT)
    row("CPU of the burners / of the runs", f"{int(burned) / max(int(used), 1):.2f}")
    row("due jobs of the busy account, not settled", left, "0", int(left) == 0)
    row("settled after, seconds", settled_after)
    row("connections of a minute's programs at once", most, str(CONNECTION_LIMIT),
        most <= CONNECTION_LIMIT)
    for text in found["on_ours"][:20]:
        print("  " + text)
    if missed:
        sys.exit(1)


if __name__ == "__main__":
    {"order": order, "ticks": ticks, "report": report}[sys.argv[1]](*sys.argv[2:])
