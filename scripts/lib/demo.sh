# Sourced by scripts/demo: starts and stops what it needs, lets minutes pass as cron would, and
# speaks to the database and to the simulator. Uses $root, $folder, $bin and $keep.
#
# The files of the demo share their variables.
# shellcheck shell=bash disable=SC2034,SC2154

env_file=$folder/holdfast.env
run_log=$folder/runs.log
assets=$folder/assets
callback_secret=demo-callback-secret
# Statuses that the current incident may end a run with; any other fails the demo.
expected_statuses='0 1'
# Tells what a run said: its words and its status.
teller=tell_run

usage() {
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$root/scripts/demo" >&"$((1 + ($1 > 0)))"
    exit "$1"
}

fail() {
    echo "demo: $1" >&2
    exit 69
}

# One demo at a time in one checkout. The lock ends with this process, also when it is killed.
take_turn() {
    mkdir -p "$root/.holdfast"
    exec 9>"$root/.holdfast/demo.lock"
    flock --nonblock 9 || fail "another demo is running in $root; wait for it, or use another checkout"
}

# Starting and stopping ---------------------------------------------------------------------------

start_up() {
    mkdir -p "$folder" "$assets"
    : >"$run_log"
    psql=$(postgresql_bin)/psql
    [ -x "$psql" ] || psql=psql
    echo "starting PostgreSQL and the simulator in .holdfast/demo"
    "$root/scripts/cluster" start "$folder/cluster" --fast >/dev/null 9>&-
    start_simulator
    read_crontab

    admin_url=$("$root/scripts/cluster" url "$folder/cluster")
    sql <<<'CREATE DATABASE holdfast'
    admin_url=$("$root/scripts/cluster" url "$folder/cluster" holdfast)
    app_url=${admin_url/holdfast_admin@/demo_app@}
    jobs_url=${admin_url/holdfast_admin@/demo_jobs@}
    set_clock +0m
    # As on a real host: set up by the owner, then the application and the runs each with a role
    # that may do no more than it has to.
    plainly HOLDFAST_DATABASE_URL="$admin_url" "$bin/holdfast" setup --env-file "$env_file" \
        >>"$run_log"
    # What the books need for money: one of our credits, and the providers' units.
    price credit_value '0.01 USD'
    price unit_value '0.005 USD' --provider kie --unit credits
    price unit_value '0.14 USD' --provider kling --unit units
    sql <<'SQL'
CREATE ROLE demo_app LOGIN IN ROLE holdfast_app;
CREATE ROLE demo_jobs LOGIN IN ROLE holdfast_jobs;
CREATE SCHEMA demo;
CREATE EXTENSION pgcrypto SCHEMA demo;
CREATE TABLE demo.play (jobs text PRIMARY KEY, incident text NOT NULL, expected text NOT NULL);
CREATE TABLE demo.stuck (job_id text PRIMARY KEY, state text NOT NULL);
CREATE FUNCTION demo.jobs_of(text) RETURNS SETOF holdfast.job LANGUAGE sql STABLE AS $$
    SELECT * FROM holdfast.job WHERE job_id ~ ('^' || $1 || '-[0-9]+$') ORDER BY job_id
$$;
SQL
}

# price KEY VALUE [SCOPE...]: a policy with a date.
price() {
    plainly HOLDFAST_DATABASE_URL="$admin_url" "$bin/holdfast" policy set "$@" \
        --env-file "$env_file" >>"$run_log"
}

start_simulator() {
    # There before the simulator is: on a busy machine the first look comes first.
    : >"$folder/simulator.log"
    # A session of its own: Ctrl-C is for this script, which then stops the simulator in order.
    setsid "$bin/provider-simulator" --port 0 --seed 5 </dev/null >>"$folder/simulator.log" 2>&1 9>&- &
    echo $! >"$folder/simulator.pid"
    local attempt
    for attempt in $(seq 1 200); do
        simulator_port=$(sed -nE 's/^.*http:\/\/127\.0\.0\.1:([0-9]+) .*$/\1/p' "$folder/simulator.log")
        [ -z "$simulator_port" ] || return 0
        sleep 0.05
    done
    fail "the simulator does not start after $attempt looks: $(cat "$folder/simulator.log")"
}

tear_down() {
    local pid
    pid=$(cat "$folder/simulator.pid" 2>/dev/null || true)
    # The number may belong to somebody else by now.
    if [ -n "$pid" ] && [[ $(readlink "/proc/$pid/exe" 2>/dev/null) == */provider-simulator* ]]; then
        kill "$pid" 2>/dev/null || true
    fi
    "$root/scripts/cluster" stop "$folder/cluster" || true
    rm -rf "$folder"
}

# At the end of the script, whatever ended it.
leave() {
    local status=$?
    trap '' INT TERM HUP
    case $status in
    0 | 1) [ -z "$keep" ] || return 0 ;;
    130 | 143) echo "stopped; removing what was started" >&2 ;;
    *)
        echo "demo: it ended early with status $status; the last that was said:" >&2
        tail -n 20 "$run_log" >&2 2>/dev/null || true
        ;;
    esac
    tear_down
}

# The environment file of the runs; its clock stands at OFFSET.
set_clock() {
    clock=$1
    cat >"$env_file.new" <<ENV
# Written by scripts/demo, in the form of /etc/holdfast/holdfast.env.
HOLDFAST_DATABASE_URL=$jobs_url
HOLDFAST_STORAGE_URL=file://$assets
HOLDFAST_PUBLIC_BASE_URL=https://cdn.example.com
HOLDFAST_REPORT_URL=file://$folder/reports
HOLDFAST_KIE_BASE_URL=http://127.0.0.1:$simulator_port/kie
HOLDFAST_KIE_API_KEY=simulator-kie-api-key
HOLDFAST_KLING_BASE_URL=http://127.0.0.1:$simulator_port/kling
HOLDFAST_KLING_ACCESS_KEY=simulator-kling-access-key
HOLDFAST_KLING_SECRET_KEY=simulator-kling-secret-key
HOLDFAST_RETRIGGER_URL=http://127.0.0.1:$simulator_port/app/trigger
HOLDFAST_RETRIGGER_SECRET=${trigger_secret:-simulator-trigger-secret}
HOLDFAST_CALLBACK_SECRET=$callback_secret
# The simulator's files are on the loopback, which downloads must not reach otherwise.
HOLDFAST_EGRESS_ALLOW=127.0.0.0/8
# What the runs take for now. For demos, rehearsals and tests only.
HOLDFAST_ALLOW_CLOCK_OFFSET=1
HOLDFAST_CLOCK_OFFSET=$1
ENV
    chmod 600 "$env_file.new"
    mv "$env_file.new" "$env_file"
}

# Database and simulator --------------------------------------------------------------------------

# As the owner: what the demo itself wants to know.
sql() {
    "$psql" --no-psqlrc --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 \
        --dbname "$admin_url" "$@"
}

# As the application, which may call the functions of its contract and nothing else.
app() {
    "$psql" --no-psqlrc --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 \
        --dbname "$app_url" "$@" >/dev/null
}

# One request to the simulator: METHOD PATH [BODY]. Prints the answer's body.
control() {
    local LC_ALL=C body=${3-} answer
    exec 8<>"/dev/tcp/127.0.0.1/$simulator_port"
    printf '%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s' \
        "$1" "$2" "${#body}" "$body" >&8
    answer=$(cat <&8)
    exec 8>&-
    case $answer in
    HTTP/1.1\ 2*) printf '%s' "${answer#*$'\r\n\r\n'}" ;;
    *) fail "the simulator refuses $1 $2: ${answer#*$'\r\n\r\n'}" ;;
    esac
}

# The application ---------------------------------------------------------------------------------

# open_jobs NAME COUNT PROVIDER KIND CREDITS [OUTPUTS [MODEL]]: customers buy credits and order
# NAME-01, NAME-02, ...; four customers share them.
open_jobs() {
    local endpoint=market
    [ "$3" = kie ] || endpoint=image2video
    app --set name="$1" --set count="$2" --set provider="$3" --set kind="$4" --set credits="$5" \
        --set outputs="${6:-1}" --set model="${7:-demo-model}" --set endpoint="$endpoint" <<'SQL'
SELECT holdfast.grant_credits(:'name' || '-customer-' || n % 4, :credits, :'name' || ' order ' || n)
FROM generate_series(1, :count) n;
SELECT holdfast.open_job(
    job_id => :'name' || '-' || to_char(n, 'FM00'), account => :'name' || '-customer-' || n % 4,
    provider => :'provider', model => :'model', kind => :'kind', credits => :credits,
    expected_outputs => :outputs, endpoint => :'endpoint')
FROM generate_series(1, :count) n;
SQL
}

# call NAME FUNCTION [MORE]: one function of the contract for each job of NAME. `MORE` is SQL for
# the arguments after the job id, in which `job_id` stands for it.
call() {
    sql --set name="$1" <<SQL | app
SELECT format('SELECT holdfast.$2(%L${3:+, %s})', job_id${3:+, $3}) || ';' FROM demo.jobs_of(:'name');
SQL
}

# submit NAME [JSON]: the application creates a task for each job, and stores its id.
submit() {
    call "$1" mark_submitting
    at_provider "$1" "${2:-}"
    call "$1" mark_submitted "quote_literal('task-' || job_id)"
}

# at_provider NAME [JSON]: the provider has a task for each job of NAME; JSON says what becomes of it.
at_provider() {
    local more=${2:-} orders
    [ -n "$more" ] || more='{}'
    orders=$(sql --set name="$1" --set more="$more" <<'SQL'
SELECT jsonb_agg(jsonb_build_object('provider', provider, 'endpoint', endpoint,
    'task_id', 'task-' || job_id, 'external_task_id', job_id, 'outputs', expected_outputs)
    || :'more'::jsonb)
FROM demo.jobs_of(:'name')
SQL
    )
    control POST /control/tasks "$orders" >/dev/null
}

# callbacks NAME BODY [QUERY]: the provider calls back once for each job of NAME. BODY and QUERY are
# SQL in which `job_id` stands for the job's id.
callbacks() {
    local query=${3:-"'secret=' || :'secret'"}
    sql --set name="$1" --set secret="$callback_secret" <<SQL | app
SELECT format('SELECT holdfast.record_callback(%L, ''{}'', %L, convert_to(%L, ''UTF8''));',
    provider, $query, $2)
FROM demo.jobs_of(:'name');
SQL
}

# The body of KIE's callback as it should be, in SQL for `callbacks`.
kie_body="json_build_object('code', 200, 'msg', 'success', 'data', json_build_object('taskId',
    'task-' || job_id, 'state', 'success', 'resultJson', NULL))"

# expect INCIDENT NAME OUTCOME: how each job of NAME has to end, as state/credit_state[/error_code].
expect() {
    sql --set incident="$1" --set name="$2" --set outcome="$3" <<'SQL'
INSERT INTO demo.play VALUES (:'name', :'incident', :'outcome')
SQL
}

# What a person on call types, in the environment of the runs.
person() {
    local word
    printf '  %-6s $ holdfast' ''
    for word in "$@"; do
        case $word in *' '*) word="'$word'" ;; esac
        printf ' %s' "$word"
    done
    printf '\n'
    plainly "$bin/holdfast" "$@" --env-file "$env_file" | sed 's/^/           /'
}

# Runs a command without what the caller's environment may say about another database.
plainly() { env -i PATH="$PATH" HOME="${HOME:-/}" USER="$(id -un)" "$@"; }

# Cron --------------------------------------------------------------------------------------------

# The commands of ./crontab: the minutely ones, and those of the night.
read_crontab() {
    local line minute hour day month weekday user command
    minutely=() nightly=() cron_shell=/bin/sh cron_path=/usr/bin:/bin
    while IFS= read -r line; do
        case $line in
        SHELL=*) cron_shell=${line#*=} ;;
        PATH=*) cron_path=${line#*=} ;;
        [*0-9]*)
            read -r minute hour day month weekday user command <<<"$line"
            case "$minute $hour $day $month $weekday" in
            '* * * * *') minutely+=("$command") ;;
            *) nightly+=("$command") ;;
            esac
            ;;
        esac
    done <"$root/crontab"
    if [ "${#minutely[@]}" -eq 0 ] || [ "${#nightly[@]}" -eq 0 ]; then
        fail "there are no minutely or no nightly lines in $root/crontab"
    fi
    : "$user"
}

# Runs one command of the crontab as cron would; its words and its status go to the log.
cron_run() {
    local status=0 output
    output=$(cd / && env -i SHELL="$cron_shell" PATH="$bin:$cron_path" HOME="${HOME:-/}" \
        LOGNAME="$(id -un)" HOLDFAST_ENV_FILE="$env_file" \
        "$cron_shell" -c "$1" 2>&1 </dev/null 9>&-) || status=$?
    printf '%s %s: exit status %s\n' "$clock" "$1" "$status" >>"$run_log"
    [ -z "$output" ] || printf '%s\n' "$output" >>"$run_log"
    case " $expected_statuses " in
    *" $status "*) ;;
    *) note_surprise "$1 ended with status $status at $clock: ${output##*$'\n'}" ;;
    esac
    if [ "$status" -gt 128 ]; then exit "$status"; fi
    [ -z "$output" ] || "$teller" "$output" "$status"
}

# In a file, because it may be noted in a shell below this one.
note_surprise() { printf '    %s\n' "$1" >>"$folder/surprises"; }

# What cron would mail, shortened: a run names each job that needs a person.
tell_run() {
    local lines line count=0 shown=2
    mapfile -t lines <<<"$1"
    for line in "${lines[@]}"; do
        count=$((count + 1))
        if [ "$count" -lt "${#lines[@]}" ] && [ "$count" -gt "$shown" ]; then continue; fi
        if [ "$count" -eq "${#lines[@]}" ] && [ "$count" -gt $((shown + 1)) ]; then
            printf '%9s(%d more lines like these)\n' '' $((count - shown - 1))
        fi
        printf '  %-6s %s\n' "$label" "$line"
        label=
    done
    [ "$2" -eq 0 ] || printf '%9s(exit status %d)\n' '' "$2"
}

# minute OFFSET: the minutely lines once each, in the order of the crontab.
minute() {
    local command
    label=$1
    set_clock "$1"
    for command in "${minutely[@]}"; do cron_run "$command"; done
    [ -z "$label" ] || printf '  %-6s %s\n' "$1" "(nothing to report)"
}

# minutes_until_done INCIDENT FROM LIMIT: minute after minute, silent ones untold, until every job
# of the incident has come to its end; at most LIMIT minutes, from minute FROM.
minutes_until_done() {
    local at command
    for at in $(seq "$2" $(($2 + $3))); do
        [ "$(open_count "$1")" -gt 0 ] || return 0
        label=$(offset "$at")
        set_clock "$label"
        for command in "${minutely[@]}"; do cron_run "$command"; done
    done
}

# Minutes as a clock offset: 7 is +7m, 1560 is +26h.
offset() {
    local hours=$(($1 / 60)) minutes=$(($1 % 60))
    [ "$hours" -eq 0 ] || [ "$minutes" -ne 0 ] || minutes=
    [ "$hours" -ne 0 ] || hours=
    echo "+${hours:+${hours}h}${minutes:+${minutes}m}"
}

open_count() {
    sql --set incident="$1" <<'SQL'
SELECT count(*) FROM demo.play p CROSS JOIN demo.jobs_of(p.jobs) j
WHERE p.incident = :'incident' AND j.state NOT IN ('delivered', 'failed', 'abandoned', 'dismissed')
SQL
}

# Words -------------------------------------------------------------------------------------------

title() { printf '\n%s\n' "$1"; }

say() { tr '\n' ' ' <<<"$1" | fold --spaces --width 92 | sed 's/^/  /; s/ *$//'; echo; }

# stuck INCIDENT: writes down which jobs stand still before anything runs.
stuck() {
    local count
    count=$(sql --set incident="$1" <<'SQL'
WITH seen AS (
    INSERT INTO demo.stuck
    SELECT j.job_id, j.state FROM demo.play p CROSS JOIN demo.jobs_of(p.jobs) j
    WHERE p.incident = :'incident'
        AND j.state NOT IN ('delivered', 'failed', 'abandoned', 'dismissed')
    RETURNING 1)
SELECT count(*) FROM seen
SQL
    )
    printf '  %-6s %s jobs stand still, and their credits with them\n' now "$count"
}

# claim WHAT ACTUAL EXPECTED: says a number, and remembers when it is another one than it has to be.
claim() {
    printf '  %-6s %s: %s\n' '' "$1" "$2"
    [ "$2" = "$3" ] || note_surprise "$1: $2, expected $3"
}
