# Sourced by scripts/demo: the night's books, the table at the end, and how to look around.
#
# The files of the demo share their variables.
# shellcheck shell=bash disable=SC2034,SC2154

# The first night after everything: the nightly lines of the crontab at their hour.
night() {
    local hour=3 minute=17 command now
    title 'The night after: the books'
    # Minutes from now to 03:17 UTC of the first night that is more than 27 hours away.
    now=$(($(date --utc +%s) / 60))
    label=night
    set_clock "$(offset $(((hour * 60 + minute - (now + 1620) % 1440 + 1440) % 1440 + 1620)))"
    teller=tell_books
    for command in "${nightly[@]}"; do cron_run "$command"; done
    teller=tell_run
    sql <<'SQL'
SELECT format('  %-6s %3s %-19s %s', '', count(*), class, min(meaning)) FROM holdfast.break
LEFT JOIN (VALUES
    ('paid_not_charged', 'the provider bills us for a file that is gone; the customer does not pay'),
    ('callback_unmatched', 'callbacks that name no job; kept whole, and they moved nothing')
    ) AS words (word, meaning) ON word = class
WHERE closed_at IS NULL GROUP BY class ORDER BY class
SQL
}

# The day's totals; the breaks follow by class.
tell_books() {
    local line
    while IFS= read -r line; do
        case $line in '  '[a-z]*:*) break ;; esac
        printf '  %-6s %s\n' "$label" "$line"
        label=
    done <<<"$1"
    [ "$2" -eq 0 ] || printf '%9s(exit status %d, as long as breaks are open)\n' '' "$2"
}

# The tables and the checks; sets `bad` when anything is not as it should be.
report() {
    local count list
    bad=0
    title 'What became of the jobs, and of their credits'
    sql <<'SQL'
CREATE TEMPORARY VIEW line AS
SELECT t.incident, t.title, j.*, s.job_id IS NOT NULL AS was_stuck
FROM (VALUES
    ('I-1', 'I-1 Kling: 401, arrays, "processing"'),
    ('I-2', 'I-2 the trigger that never arrived'),
    ('I-3', 'I-3 KIE: finished, not in the library'),
    ('I-4', 'I-4 callback storms'),
    ('I-5', 'I-5 long videos, a day of silence'),
    (NULL, 'all')) t (incident, title)
JOIN demo.play p ON t.incident IS NULL OR p.incident = t.incident
CROSS JOIN demo.jobs_of(p.jobs) j LEFT JOIN demo.stuck s USING (job_id);

SELECT format('  %-38s %6s %6s %10s %7s %10s %10s', '', 'jobs', 'stuck', 'delivered', 'failed',
    'abandoned', 'dismissed');
SELECT format('  %-38s %6s %6s %10s %7s %10s %10s', title, count(*),
    count(*) FILTER (WHERE was_stuck), count(*) FILTER (WHERE state = 'delivered'),
    count(*) FILTER (WHERE state = 'failed'), count(*) FILTER (WHERE state = 'abandoned'),
    count(*) FILTER (WHERE state = 'dismissed'))
FROM line GROUP BY incident, title ORDER BY incident NULLS LAST;
SELECT '';
SELECT format('  %-23s %6s %9s %7s %13s %9s %7s %11s', '', 'held', 'captured', 'voided',
    'late charged', 'refunded', 'waived', 'still held');
SELECT format('  %-23s %6s %9s %7s %13s %9s %7s %11s', coalesce(incident, 'all'), sum(credits),
    sum(captured), sum(voided), sum(charged), sum(refunded), sum(waived),
    coalesce(sum(credits) FILTER (WHERE credit_state = 'held'), 0))
FROM line GROUP BY incident ORDER BY incident NULLS LAST;
SQL
    title 'Checks'
    count=$(sql <<<'SELECT count(*) FROM holdfast.invariant_violation')
    sql --set count="$count" <<'SQL'
SELECT format('  invariants violated: %s (%s accounts, %s jobs, %s transfers)', :'count',
    (SELECT count(*) FROM holdfast.account), (SELECT count(*) FROM holdfast.job),
    (SELECT count(*) FROM holdfast.transfer))
SQL
    if [ "$count" -ne 0 ]; then
        bad=1
        sql <<<"SELECT format('    %s %s: %s', invariant, subject, detail) FROM holdfast.invariant_violation LIMIT 20"
    fi
    list=$(sql <<'SQL'
SELECT format('    %s is %s, expected %s', j.job_id, concat_ws('/', j.state, j.credit_state,
    j.error_code, 'blocked=' || j.blocked), p.expected)
FROM demo.play p CROSS JOIN demo.jobs_of(p.jobs) j
WHERE concat_ws('/', j.state, j.credit_state, j.error_code, 'blocked=' || j.blocked) <> p.expected
SQL
    )
    check 'jobs that ended otherwise than they had to' "$list"
    list=$(cd "$assets" && sql <<'SQL' | { sha256sum --check --quiet --strict 2>&1 || true; } | sed 's/^/    /'
SELECT a.sha256 || '  ' || a.object_key FROM holdfast.asset a WHERE a.state = 'stored'
SQL
    )
    check 'stored files that are missing or differ from their digest' "$list"
    list=$(sql <<'SQL'
SELECT format('    %s %s: %s', class, subject, detail) FROM holdfast.break
WHERE closed_at IS NULL AND class NOT IN
    ('refunded-but-delivered', 'provider-billed-failed-job', 'callback-unmatched')
SQL
    )
    check 'breaks that the incidents do not explain' "$list"
    list=$(cat "$folder/surprises" 2>/dev/null || true)
    check 'exit statuses and counts that nobody expected' "$list"

    if [ "$bad" -eq 0 ]; then
        printf '\nAll is well, after %d seconds.\n' $((SECONDS - started))
    else
        printf '\nNOT well, after %d seconds. The last that the runs said:\n' $((SECONDS - started))
        tail -n 30 "$run_log"
        [ -n "$keep" ] || echo 'scripts/demo --keep leaves everything there to look into.'
    fi
}

# check WHAT LINES: says how many lines there are, and the first of them; there should be none.
check() {
    if [ -z "$2" ]; then
        printf '  %s: 0\n' "$1"
    else
        bad=1
        printf '  %s: %d\n' "$1" "$(wc -l <<<"$2")"
        head -n 20 <<<"$2"
    fi
}

how_to_look_around() {
    cat <<TEXT

Database and simulator are running. To look around:

  export PATH="$bin:\$PATH"
  set -a; . "$env_file"; set +a
  holdfast status
  holdfast job show i5-returned-01
  ledger-reconciler --dry-run
  holdfast break list
  psql "$admin_url" --command 'SELECT * FROM holdfast.job_status LIMIT 5'
  curl http://127.0.0.1:$simulator_port/control/counts

What the runs said: $run_log
Stored files: $assets
The night's reports: $folder/reports
The clock of the runs stands at $clock (HOLDFAST_CLOCK_OFFSET in the env file).

To stop it and remove everything: scripts/demo --stop
TEXT
}
