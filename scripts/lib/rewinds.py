"""One real failover or restore after another, for scripts/check-rewinds.

A primary of its own for each seed; what is lost is chosen by the seed: the commits of runs and of the
application, or those of the application alone. The provider, the store and the state folder go on.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import time
import urllib.request

built, server_bin, folder, server_user = sys.argv[1:5]
failovers, restores, first = (int(number) for number in sys.argv[5:8])
ADMIN = "holdfast_admin"


def sh(*command, check=True, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if check and done.returncode != 0:
        raise RuntimeError(f"{command}: {done.returncode} {done.stdout[-2000:]} {done.stderr[-2000:]}")
    return done


def as_server(*command, check=True):
    if server_user:
        command = ("setpriv", "--reuid", server_user, "--regid", server_user, "--clear-groups", "--",
                   *command)
    return sh(*command, check=check, cwd="/", timeout=120)


class Server:
    """A PostgreSQL server on a port and a folder of its own."""

    def __init__(self, name, port):
        self.data, self.port = f"{folder}/{name}", port
        self.url = f"postgres://{ADMIN}@127.0.0.1:{port}/app"

    def start(self):
        as_server(f"{server_bin}/pg_ctl", "start", "--wait", "--silent", "--pgdata", self.data,
                  "--log", f"{self.data}.log", "--options",
                  f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
                  " -c fsync=off -c shared_buffers=32MB")

    def stop(self, mode="immediate"):
        as_server(f"{server_bin}/pg_ctl", "stop", "--silent", "--mode", mode, "--pgdata", self.data,
                  check=False)

    def sql(self, statement, database="app"):
        return sh("psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set",
                  "ON_ERROR_STOP=1", self.url.replace("/app", f"/{database}"), "--command",
                  statement).stdout.strip()

    def until(self, statement, wanted="t"):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if self.sql(statement, "postgres") == wanted:
                    return
            except RuntimeError:
                pass
            time.sleep(0.1)
        raise RuntimeError(f"it never came to be: {statement}")


def ask(path, body=None):
    request = urllib.request.Request(
        simulator + path, None if body is None else json.dumps(body).encode(),
        {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        text = answer.read()
    return json.loads(text) if text else {}


def run(server, program, *arguments, offset):
    return sh(f"{built}/{program}", *arguments, check=False, timeout=120, env={
        "PATH": os.environ["PATH"], "HOLDFAST_DATABASE_URL": server.url,
        "HOLDFAST_STORAGE_URL": f"file://{folder}/assets",
        "HOLDFAST_PUBLIC_BASE_URL": "https://cdn.example.com", "HOLDFAST_STATE_DIR": f"{folder}/state",
        "HOLDFAST_EGRESS_ALLOW": "127.0.0.0/8", "HOLDFAST_CLOCK_OFFSET": offset,
        "HOLDFAST_ALLOW_CLOCK_OFFSET": "1", "HOLDFAST_RETRIGGER_URL": simulator + "/app/trigger",
        "HOLDFAST_RETRIGGER_SECRET": "simulator-trigger-secret",
        "HOLDFAST_KIE_BASE_URL": simulator + "/kie", "HOLDFAST_KIE_API_KEY": "simulator-kie-api-key",
        "HOLDFAST_KLING_BASE_URL": simulator + "/kling",
        "HOLDFAST_KLING_ACCESS_KEY": "simulator-kling-access-key",
        "HOLDFAST_KLING_SECRET_KEY": "simulator-kling-secret-key"})


def minute(server, offset):
    return [run(server, program, offset=offset)
            for program in ("stuck-sweeper", "orphan-recoverer", "storage-mirrorer")]


def open_job(server, job, provider):
    endpoint = "text2video" if provider == "kling" else "market"
    server.sql(f"SELECT holdfast.grant_credits('{job}', 100, 'grant {job}')")
    server.sql(f"SELECT holdfast.open_job('{job}', '{job}', '{provider}', 'm', 'video', 100, NULL, 1,"
               f" '{endpoint}')")


def send(server, job, provider, marks=True):
    """What the application does when it is asked to start a job."""
    order = {"provider": provider, "endpoint": "text2video" if provider == "kling" else "market",
             "task_id": f"task-{job}", "outputs": 1}
    if provider == "kling":
        order["external_task_id"] = job
    ask("/control/tasks", order)
    if marks:
        server.sql(f"SELECT holdfast.mark_submitting('{job}')")
        server.sql(f"SELECT holdfast.mark_submitted('{job}', 'task-{job}')")


def triggers(job):
    return ask("/control/counts").get("triggers", {}).get(job, {}).get("count", 0)


def primary(name, port, archive):
    server = Server(name, port)
    as_server(f"{server_bin}/initdb", "--pgdata", server.data, "--username", ADMIN, "--auth", "trust",
              "--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions")
    settings = "wal_level = replica\nmax_wal_senders = 4\nhot_standby = on\n"
    if archive:
        settings += f"archive_mode = on\narchive_command = 'cp %p {folder}/archive/%f'\n"
    with open(f"{server.data}/postgresql.conf", "a", encoding="utf-8") as file:
        file.write(settings)
    server.start()
    server.sql("CREATE DATABASE app", "postgres")
    done = run(server, "holdfast", "setup", offset="+0s")
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return server


def play(seed, kind):
    chance = random.Random(seed)
    only_application = chance.random() < 0.3
    for name in ("assets", "state", "archive"):
        shutil.rmtree(f"{folder}/{name}", ignore_errors=True)
        os.makedirs(f"{folder}/{name}")
    shutil.chown(f"{folder}/archive", server_user or None)
    port = 15000 + chance.randrange(8000) * 2
    old = primary(f"old-{seed}", port, kind == "restore")
    new = Server(f"new-{seed}", port + 1)
    lost = [(f"s{seed}-lost-{n}", chance.choice(["kie", "kling"])) for n in range(chance.randint(1, 4))]
    known = [(f"s{seed}-known-{n}", chance.choice(["kie", "kling"])) for n in range(2)]
    try:
        open_job(old, f"s{seed}-warm", "kie")
        send(old, f"s{seed}-warm", "kie")
        minute(old, "+6m")
        for job, provider in lost + known:
            open_job(old, job, provider)
        for job, provider in known:
            send(old, job, provider)
        copy = [f"{server_bin}/pg_basebackup", "--pgdata", new.data, "--checkpoint", "fast", "--dbname",
                f"host=127.0.0.1 port={old.port} user={ADMIN}"]
        as_server(*copy, *(["--write-recovery-conf"] if kind == "failover" else []))
        if kind == "failover":
            new.start()
            old.until("SELECT count(*) = 1 FROM pg_stat_replication")
        if only_application:
            # The runs have asked, and the application has not sent yet.
            minute(old, "+6m")
        if kind == "failover":
            old.until("SELECT coalesce(min(replay_lsn) >= pg_current_wal_lsn(), false)"
                      " FROM pg_stat_replication")
            new.sql("ALTER SYSTEM SET primary_conninfo = ''", "postgres")
            new.sql("SELECT pg_reload_conf()", "postgres")
            old.until("SELECT count(*) = 0 FROM pg_stat_replication")
        else:
            old.sql("SELECT pg_create_restore_point('here')", "postgres")
        if not only_application:
            minute(old, "+6m")
        for job, provider in lost:
            if triggers(job) > 0:
                send(old, job, provider)
        before = {job: triggers(job) for job, _ in lost}
        if kind == "failover":
            old.stop()
            as_server(f"{server_bin}/pg_ctl", "promote", "--wait", "--silent", "--pgdata", new.data)
        else:
            old.sql("SELECT pg_switch_wal()", "postgres")
            old.stop("fast")
            with open(f"{new.data}/postgresql.auto.conf", "a", encoding="utf-8") as file:
                file.write(f"restore_command = 'cp {folder}/archive/%f %p'\n"
                           "recovery_target_name = 'here'\nrecovery_target_action = 'promote'\n")
            as_server("touch", f"{new.data}/recovery.signal")
            new.start()
        new.until("SELECT NOT pg_is_in_recovery()")
        said = []
        for offset in ("+9m", "+16m", "+23m"):
            said += minute(new, offset)
        complaints = []
        if not any("lost commits since" in one.stderr for one in said):
            complaints.append("nobody noticed")
        if any(one.returncode in (70, 75, 78) for one in said):
            complaints.append("a run ended with "
                              + str([one.returncode for one in said]) + said[0].stderr[-500:])
        named = new.sql("SELECT job_id FROM holdfast.rewind_job").split()
        complaints += [f"{job} is not named" for job, _ in lost if job not in named]
        complaints += [f"{job} was sent twice" for job, _ in lost if triggers(job) > before[job]]
        for job, provider in lost:
            state = new.sql(f"SELECT state FROM holdfast.job WHERE job_id = '{job}'")
            if provider == "kling" and state != "delivered":
                complaints.append(f"{job} of kling is {state}")
        minute(new, "+95m")
        for job, provider in lost:
            if provider == "kie":
                reason = new.sql("SELECT concat_ws(' ', blocked, blocked_reason) FROM holdfast.job"
                                 f" WHERE job_id = '{job}'")
                if not reason.startswith("submission_unknown rewind:"):
                    complaints.append(f"{job} of kie is {reason or 'not blocked'}")
                new.sql(f"SELECT holdfast.mark_submitted('{job}', 'task-{job}')")
        minute(new, "+105m")
        rest = new.sql("SELECT job_id || ' ' || state || ' ' || credit_state FROM holdfast.job"
                       " WHERE (state, credit_state) <> ('delivered', 'captured')")
        if rest:
            complaints.append("not delivered: " + rest.replace("\n", ", "))
        doubled = new.sql("SELECT count(*) FROM (SELECT FROM holdfast.transfer WHERE kind <> 'hold' AND"
                          " job_id IS NOT NULL GROUP BY job_id HAVING count(*) > 1) d")
        broken = new.sql("SELECT count(*) FROM holdfast.invariant_violation")
        if (doubled, broken) != ("0", "0"):
            complaints.append(f"{doubled} settled twice, {broken} invariants broken")
        still = new.sql("SELECT count(*) FROM holdfast.rewind WHERE closed_at IS NULL")
        if still != "0":
            complaints.append("the rewind is still open")
        what = "the application's commits" if only_application else "runs and application"
        print(f"{kind} seed={seed} lost={len(lost)} ({what}): "
              + ("; ".join(complaints) if complaints else "holds"), flush=True)
        return not complaints
    finally:
        for server in (old, new):
            server.stop()
            shutil.rmtree(server.data, ignore_errors=True)


program = subprocess.Popen([f"{built}/provider-simulator", "--port", "0", "--seed", "1"],
                           stdout=subprocess.PIPE, text=True)
try:
    simulator = next(word for line in program.stdout for word in line.split()
                     if word.startswith("http://127.0.0.1:")).rstrip("/,.")
    held = [play(first + n, "failover") for n in range(failovers)]
    held += [play(first + failovers + n, "restore") for n in range(restores)]
    print(f"{len(held)} losses, {held.count(False)} that did not hold")
    sys.exit(0 if all(held) else 1)
finally:
    program.kill()
