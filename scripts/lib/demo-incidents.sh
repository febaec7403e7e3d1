# Sourced by scripts/demo: the five incidents. Each plays the application up to the moment at which
# it failed, then lets cron's minutes pass. A job's name says what happened to it; `expect` says how
# it has to end.
#
# The files of the demo share their variables.
# shellcheck shell=bash disable=SC2034,SC2154

incident_1() {
    title 'I-1  Kling: 401 now and then, and finished tasks that stay on "processing"'
    expect I-1 i1-refused delivered/captured
    expect I-1 i1-array delivered/captured
    expect I-1 i1-neighbours delivered/captured
    expect I-1 i1-elsewhere delivered/captured
    expect I-1 i1-long delivered/captured
    open_jobs i1-refused 20 kling video 100
    open_jobs i1-array 8 kling video 100
    open_jobs i1-neighbours 8 kling video 100
    open_jobs i1-elsewhere 4 kling video 100
    open_jobs i1-long 6 kling video 120
    submit i1-refused
    submit i1-array '{"shape": "array"}'
    submit i1-neighbours '{"shape": "array_with_neighbours"}'
    submit i1-elsewhere '{"shape": "array_without_match"}'
    submit i1-long '{"polls_until_done": 3}'
    control POST /control/faults '{"provider": "kling", "unauthorized_rate": 0.5}' >/dev/null
    stuck I-1
    say 'Kling refuses half of all requests with 401 although the token is right. 40 tasks are
finished; 8 answers carry them in an array, 8 among the tasks of others, 4 show only others. Six
videos take their time.'
    minute +6m
    minute +7m
    say 'Kling corrects the four answers that named only the tasks of others; until then nothing
was concluded from them.'
    at_provider i1-elsewhere '{"shape": "normal"}'
    minutes_until_done I-1 8 40
    control POST /control/faults '{"provider": "kling", "clear": true}' >/dev/null
}

incident_2() {
    local name
    title 'I-2  The trigger that never arrived: stuck at the first step'
    expect I-2 i2-trigger delivered/captured
    expect I-2 i2-unsent failed/voided/never_submitted
    expect I-2 i2-late delivered/late_charged
    expect I-2 i2-adopt delivered/captured
    expect I-2 i2-log delivered/captured
    expect I-2 i2-called delivered/captured
    expect I-2 i2-phantom dismissed/voided
    open_jobs i2-trigger 12 kie image 40
    open_jobs i2-unsent 8 kie image 40
    open_jobs i2-late 2 kie image 40
    open_jobs i2-adopt 8 kling video 100
    open_jobs i2-log 3 kie video 100
    open_jobs i2-called 3 kie video 100
    open_jobs i2-phantom 3 kie image 40
    # These reached the provider, and the application died before it had stored the task id.
    call i2-adopt mark_submitting
    at_provider i2-adopt
    call i2-log mark_submitting
    at_provider i2-log
    call i2-called mark_submitting
    at_provider i2-called
    stuck I-2
    say '25 jobs were recorded and never started: the trigger has the wrong secret. 14 were sent,
and the answer with the task id was lost: Kling can be asked by our own id, KIE cannot.'
    # The run that meets the 401 ends with 78: the configuration is wrong.
    expected_statuses='0 1 78'
    trigger_secret=stale-secret
    minute +3m
    expected_statuses='0 1'
    say 'A person corrects the secret, finds three task ids in a log, and dismisses three phantoms.
KIE calls back for three others, at the address that carries the job id and its tag.'
    trigger_secret=simulator-trigger-secret
    call i2-log mark_submitted "quote_literal('task-' || job_id)"
    for name in i2-phantom-01 i2-phantom-02 i2-phantom-03; do
        person job dismiss "$name" --reason 'the customer never asked for it'
    done
    callbacks i2-called "$kie_body" "$tagged_query"
    minute +6m
    say 'The application takes the trigger for twelve jobs and starts them. For the other ten it
accepts the call and does nothing.'
    start_triggered i2-trigger
    minute +9m
    # The last try is made, and its patience ends.
    minute +11m
    minute +20m
    say 'Two of the ten were sent after all: their task ids turn up when the credits are back.'
    at_provider i2-late
    call i2-late mark_submitted "quote_literal('task-' || job_id)"
    minute +30m
    minutes_until_done I-2 31 20
}

incident_3() {
    title 'I-3  KIE: finished, paid for, not in the library'
    expect I-3 i3-silent delivered/captured
    expect I-3 i3-veo delivered/captured
    expect I-3 i3-bare delivered/captured
    expect I-3 i3-expired delivered/captured
    expect I-3 i3-share delivered/captured
    expect I-3 i3-lost failed/voided/result_lost
    expect I-3 i3-prepaid failed/refunded/result_lost
    open_jobs i3-silent 16 kie video 100
    open_jobs i3-veo 4 kie video 200 1 veo3
    open_jobs i3-bare 8 kie image 40
    open_jobs i3-expired 6 kie video 100
    open_jobs i3-share 3 kie image 100 3
    open_jobs i3-lost 4 kie video 100
    open_jobs i3-prepaid 2 kie video 100 1 prepaid-model
    person policy set capture_at succeeded --model prepaid-model
    submit i3-silent
    submit i3-veo
    submit i3-bare
    submit i3-expired '{"files_expired": true}'
    submit i3-share '{"outputs": 2}'
    submit i3-lost '{"file_fault": "expired"}'
    submit i3-prepaid '{"file_fault": "gone"}'
    stuck I-3
    say 'Every task is finished. For 8 jobs a callback comes, without the URLs of the files.'
    callbacks i3-bare "$kie_body"
    minute +1m
    say 'For the others none comes. 6 URLs have expired, 6 files are gone at KIE, and 3 customers
get two images of the three they ordered. One customer asks for his video.'
    person job sync i3-silent-01
    minute +6m
    minutes_until_done I-3 7 20
}

incident_4() {
    title 'I-4  Callback storms, malformed bodies, and a poller that waits for ever'
    expect I-4 i4-storm delivered/captured
    expect I-4 i4-called delivered/captured
    expect I-4 i4-early delivered/captured
    expect I-4 i4-forged delivered/captured
    expect I-4 i4-ended delivered/captured
    open_jobs i4-storm 1 kie video 100
    open_jobs i4-called 12 kie image 40
    open_jobs i4-early 8 kie image 40
    open_jobs i4-forged 4 kie image 40
    open_jobs i4-ended 4 kie video 100
    submit i4-storm
    submit i4-called
    submit i4-forged
    submit i4-ended
    call i4-early mark_submitting
    at_provider i4-early
    stuck I-4
    say 'One callback comes a thousand times, with forty malformed ones between them. Eight come
before the application has stored the task id, four with a wrong secret. The application itself
finishes four jobs meanwhile.'
    storm i4-storm 1000
    malformed
    callbacks i4-called "$kie_body"
    callbacks i4-early "$kie_body"
    callbacks i4-forged "$kie_body" "'secret=guessed'"
    finish_by_application i4-ended
    at_once 8
    minute +1m
    claim 'polls for a thousand callbacks' "$(polls i4-storm)" 1
    claim 'polls of the four jobs that the application had finished' "$(polls i4-ended)" 0
    say 'The application stores the eight task ids that the callbacks had named; the forged callbacks
wake nothing, and the polls after the threshold find those four.'
    call i4-early mark_submitted "quote_literal('task-' || job_id)"
    minute +2m
    minutes_until_done I-4 3 20
}

incident_5() {
    title 'I-5  Twenty-minute videos behind a five-minute limit'
    expect I-5 i5-slow delivered/captured
    expect I-5 i5-failed failed/voided/provider_failed
    expect I-5 i5-returned delivered/late_charged
    expect I-5 i5-spent delivered/waived
    expect I-5 i5-elsewhere delivered/captured
    expect I-5 i5-endless abandoned/voided
    expect I-5 i5-revenant delivered/late_charged
    expect I-5 i5-outage delivered/captured
    expect I-5 i5-one delivered/captured
    open_jobs i5-slow 12 kling video 200
    open_jobs i5-failed 6 kling video 200
    open_jobs i5-returned 4 kling video 200
    open_jobs i5-spent 3 kling video 200
    open_jobs i5-endless 4 kling video 200
    open_jobs i5-revenant 2 kling video 200
    open_jobs i5-outage 10 kie video 150
    local name
    for name in slow failed returned spent endless revenant; do
        submit "i5-$name" '{"outcome": "never"}'
    done
    submit i5-outage
    afford_one i5-one
    stuck I-5
    say 'The function that waited was killed after five minutes; it marked twelve jobs as timed out
itself. KIE does not answer any more, and will not for a day.'
    call i5-slow mark_timed_out
    control POST /control/faults '{"provider": "kie", "down": true}' >/dev/null
    # A breaker that opens ends its run with 69.
    expected_statuses='0 1 69'
    minute +6m
    minute +70m
    say 'Twelve videos are finished now, six have failed. Seven customers had their credits back
from the application; three of them spent them on something else.'
    at_provider i5-slow '{"outcome": "succeed"}'
    at_provider i5-failed '{"outcome": "fail"}'
    call i5-returned return_credits "'''the application gave up'''"
    call i5-spent return_credits "'''the application gave up'''"
    open_elsewhere i5-elsewhere i5-spent
    minute +80m
    say 'The seven finish as well: charged late where the account can pay, waived where it cannot.'
    at_provider i5-returned '{"outcome": "succeed"}'
    at_provider i5-spent '{"outcome": "succeed"}'
    minute +90m
    minute +25h
    claim 'credits held by the ten jobs at KIE after a day of silence' "$(held i5-outage)" 1500
    control POST /control/faults '{"provider": "kie", "clear": true}' >/dev/null
    say 'KIE answers again. The watch window of the six that never finished is over.'
    minutes_until_done I-5 1560 20
    say 'Two that were given up finish after all, and Kling calls back.'
    at_provider i5-revenant '{"outcome": "succeed"}'
    callbacks i5-revenant "json_build_object('task_id', 'task-' || job_id, 'task_status', 'succeed')"
    minute +27h
    expected_statuses='0 1'
}

# Parts of the plays ------------------------------------------------------------------------------

# Our own callback address: the job id, and the tag that proves that we wrote it.
tagged_query="'job=' || job_id || '&tag='
    || encode(demo.hmac(convert_to(job_id, 'UTF8'), convert_to(:'secret', 'UTF8'), 'sha256'), 'hex')"

# The application starts the jobs of NAME whose trigger it has accepted.
start_triggered() {
    local counts
    counts=$(control GET /control/counts)
    sql --set name="$1" --set counts="$counts" <<'SQL' | app
SELECT format('SELECT holdfast.mark_submitting(%L);', j.job_id)
FROM demo.jobs_of(:'name') j JOIN json_each(:'counts'::json -> 'triggers') t ON t.key = j.job_id
WHERE (t.value ->> 'accepted')::integer > 0;
SQL
    at_provider "$1"
    sql --set name="$1" --set counts="$counts" <<'SQL' | app
SELECT format('SELECT holdfast.mark_submitted(%L, %L);', j.job_id, 'task-' || j.job_id)
FROM demo.jobs_of(:'name') j JOIN json_each(:'counts'::json -> 'triggers') t ON t.key = j.job_id
WHERE (t.value ->> 'accepted')::integer > 0;
SQL
}

# COUNT copies of one callback, and malformed bodies between them.
storm() {
    app --set task="task-$1-01" --set count="$2" --set query="secret=$callback_secret" <<'SQL'
SELECT count(holdfast.record_callback('kie', '{}', :'query', convert_to(format(
    '{"code": 200, "msg": "success", "data": {"taskId": "%s", "state": "success"}}', :'task'), 'UTF8')))
FROM generate_series(1, :count);
SQL
}

malformed() {
    app --set query="secret=$callback_secret" <<'SQL'
SELECT count(holdfast.record_callback(provider, '{}', :'query', body))
FROM generate_series(1, 5) n, (VALUES
    ('kie', convert_to('{"code": 200, "data": {"taskId": ', 'UTF8')),
    ('kie', '\xfffe80'::bytea),
    ('kie', ''::bytea),
    ('kie', NULL),
    ('kie', convert_to('<html>502 Bad Gateway</html>', 'UTF8')),
    ('kling', convert_to('[{"task_id": "one"}, {"task_id": "another"}]', 'UTF8')),
    ('nobody', convert_to('{"hello": "world"}', 'UTF8')),
    ('kie', convert_to(repeat('A', 1000000), 'UTF8'))) b (provider, body);
SQL
}

# The application got the URLs itself, and hands them over.
finish_by_application() {
    local job url
    for job in $(sql --set name="$1" <<<"SELECT job_id FROM demo.jobs_of(:'name')"); do
        url=$(control GET "/control/tasks/task-$job")
        url=$(sql --set task="$url" <<<"SELECT :'task'::json -> 'files' -> 0 ->> 'url'")
        app --set job="$job" --set url="$url" <<<"SELECT holdfast.finish_job(:'job', 'succeeded', ARRAY[:'url'])"
    done
}

# COUNT sweepers at the same moment, as if as many hosts ran one crontab.
at_once() {
    local n pids=() status=0
    label=now
    set_clock +0m
    for n in $(seq 1 "$1"); do
        cron_run "${minutely[0]}" >"$folder/at-once.$n" &
        pids+=($!)
    done
    for n in "${pids[@]}"; do wait "$n" || status=$?; done
    say "$1 sweepers start in the same second; two may work, the others leave without a word."
    cat "$folder"/at-once.*
    rm -f "$folder"/at-once.*
    return "$status"
}

# How often the provider was asked about the jobs of NAME.
polls() {
    local counts
    counts=$(control GET /control/counts)
    sql --set name="$1" --set counts="$counts" <<'SQL'
SELECT coalesce(sum(p.value::integer), 0)
FROM demo.jobs_of(:'name') j
LEFT JOIN json_each_text(:'counts'::json -> 'polls') p ON p.key = j.provider || ':task-' || j.job_id
SQL
}

# What the jobs of NAME that are in flight hold.
held() {
    sql --set name="$1" <<'SQL'
SELECT coalesce(sum(credits), 0) FROM demo.jobs_of(:'name')
WHERE credit_state = 'held' AND state IN ('submitted', 'running')
SQL
}

# Two orders in the same moment from a customer who can pay for one of them.
afford_one() {
    local n refused=0 pids=()
    app --set name="$1" <<<"SELECT holdfast.grant_credits(:'name' || '-customer', 300, :'name')"
    for n in 1 2; do
        app --set job="$1-0$n" --set account="$1-customer" 2>"$folder/afford.$n" <<'SQL' &
SELECT holdfast.open_job(:'job', :'account', 'kling', 'demo-model', 'video', 300,
    endpoint => 'image2video')
SQL
        pids+=($!)
    done
    for n in "${pids[@]}"; do wait "$n" || refused=$((refused + 1)); done
    claim 'orders refused, of two at once from a customer who can pay for one' "$refused" 1
    sed -nE 's/^.*ERROR: +/           /p' "$folder"/afford.*
    rm -f "$folder"/afford.*
    submit "$1"
}

# The customers of NAME's jobs spend what they got back on another job each.
open_elsewhere() {
    sql --set new="$1" --set old="$2" <<'SQL' | app
SELECT format('SELECT holdfast.open_job(%L, %L, ''kling'', ''demo-model'', ''video'', %s,
    endpoint => ''image2video'');', :'new' || right(job_id, 3), account_id, credits)
FROM demo.jobs_of(:'old');
SQL
    submit "$1"
}
