package import Core
package import Jobs

/// `holdfast status` for people and for machines.
package enum OverviewText {
    /// - Parameters:
    ///   - overview: The numbers.
    ///   - place: Where the database is.
    ///   - missing: For each provider of this build, the variables that are not set on this host.
    package static func text(
        _ overview: Overview, place: String, missing: [String: [String]]
    ) -> String {
        let now = overview.now
        var numbers = TextTable(indent: 2)
        let window = DurationText.describe(overview.window)
        numbers.add("success rate (\(window))", success(overview))
        numbers.add(
            "mean time to completion", overview.meanTimeToCompletion.map(Plain.span) ?? "-")
        numbers.add(
            "stuck now",
            "\(overview.stuckNow)"
                + (overview.stuckNow > 0 ? "  see holdfast job list --stuck" : ""))
        numbers.add("failed in the last hour", "\(overview.failedLastHour)")
        numbers.add("jobs", jobs(overview.open, none: "none open"))
        numbers.add(
            "blocked",
            jobs(overview.blocked, none: "none")
                + (overview.blocked.isEmpty ? "" : "  see holdfast job list --blocked"))
        numbers.add("credits held", "\(overview.creditsHeld) in \(overview.jobsHolding) jobs")
        numbers.add(
            "bytes stored",
            (overview.isBytesStoredEstimated ? "about " : "") + Plain.bytes(overview.bytesStored))
        numbers.add(
            "files pending",
            "\(overview.filesPending)"
                + (overview.nearestExpiry.map {
                    ", nearest expiry \($0) (\(Plain.distance($0, from: now)))"
                } ?? ""))
        for rewind in overview.rewinds {
            numbers.add(
                "lost commits",
                "since \(rewind.gapFrom), \(rewind.held) of \(rewind.jobs) jobs are held back  see "
                    + "holdfast rewind show")
        }
        for slow in overview.slowFiles {
            numbers.add(
                "slow files",
                "\(slow.files) of \(slow.provider) since \(slow.since) "
                    + "(\(Plain.distance(slow.since, from: now))), \(slow.underWay) under way")
        }
        for refused in overview.refusedFiles {
            numbers.add(
                "refused files",
                "\(refused.files) of \(refused.provider) since \(refused.since) "
                    + "(\(Plain.distance(refused.since, from: now))), \(refused.setAside) wait for "
                    + "a person")
        }
        for held in overview.heldUp {
            numbers.add(
                "held up",
                "\(held.jobs) jobs of \(held.account), ready since \(held.since) "
                    + "(\(Plain.distance(held.since, from: now))), by another transaction")
        }
        for trouble in overview.conditions {
            numbers.add(
                "lasting trouble",
                "since \(trouble.beganAt) (\(Plain.distance(trouble.beganAt, from: now))), "
                    + "\(trouble.times) times: \(trouble.message)")
        }
        numbers.add(
            "callbacks undrained",
            "\(overview.callbacksUndrained)"
                + (overview.oldestCallback.map {
                    ", oldest \(Plain.distance($0, from: now))"
                } ?? ""))
        return [
            "holdfast at \(place), \(now)", numbers.text, "providers",
            providers(overview, missing), "last runs", runs(overview),
        ].joined(separator: "\n")
    }

    package static func members(
        _ overview: Overview, missing: [String: [String]]
    ) -> [(key: String, value: JSONValue)] {
        let delivered = overview.success?.delivered ?? 0
        return [
            ("now", .instant(overview.now)),
            ("window", .string(DurationText.describe(overview.window))),
            ("window_seconds", .integer(overview.window.milliseconds / 1000)),
            ("success_rate", Plain.ratio(delivered, of: overview.success?.of ?? 0)),
            ("mean_time_to_completion_seconds", .seconds(overview.meanTimeToCompletion)),
            ("stuck_now", .integer(overview.stuckNow)),
            ("failed_last_hour", .integer(overview.failedLastHour)),
            ("jobs", .counts(overview.open)), ("ended_in_window", .counts(overview.ended)),
            ("blocked", .counts(overview.blocked)),
            ("credits_held", .integer(overview.creditsHeld)),
            ("jobs_holding", .integer(overview.jobsHolding)),
            ("bytes_stored", .integer(overview.bytesStored)),
            ("bytes_stored_estimated", .bool(overview.isBytesStoredEstimated)),
            ("files_pending", .integer(overview.filesPending)),
            ("nearest_expiry", .instant(overview.nearestExpiry)),
            ("rewinds", .array(overview.rewinds.map(RewindText.object))),
            (
                "slow_files",
                .array(
                    overview.slowFiles.map { slow in
                        [
                            "provider": .string(slow.provider), "files": .integer(slow.files),
                            "under_way": .integer(slow.underWay), "since": .instant(slow.since),
                        ]
                    })
            ),
            (
                "refused_files",
                .array(
                    overview.refusedFiles.map { refused in
                        [
                            "provider": .string(refused.provider),
                            "files": .integer(refused.files),
                            "set_aside": .integer(refused.setAside),
                            "since": .instant(refused.since),
                        ]
                    })
            ),
            (
                "held_up",
                .array(
                    overview.heldUp.map { held in
                        [
                            "account_id": .string(held.account), "jobs": .integer(held.jobs),
                            "since": .instant(held.since),
                        ]
                    })
            ),
            (
                "conditions",
                .array(
                    overview.conditions.map { trouble in
                        [
                            "code": .string(trouble.name), "message": .string(trouble.message),
                            "since": .instant(trouble.beganAt),
                            "last_seen_at": .instant(trouble.seenAt),
                            "times": .integer(trouble.times),
                        ]
                    })
            ),
            ("callbacks_undrained", .integer(overview.callbacksUndrained)),
            ("oldest_callback", .instant(overview.oldestCallback)),
            (
                "providers",
                .array(
                    overview.providers.map { provider in
                        [
                            "provider": .string(provider.name),
                            "configured": missing[provider.name].map { .bool($0.isEmpty) } ?? .null,
                            "breaker": .string(provider.pausedUntil == nil ? "closed" : "open"),
                            "failures": .integer(provider.failures),
                            "paused_until": .instant(provider.pausedUntil),
                            "pause_reason": .optional(
                                provider.pausedUntil == nil ? nil : provider.pauseReason),
                            "last_error": .optional(provider.lastError),
                            "key_refused": .bool(provider.isKeyRefused),
                            "unreadable": .array(provider.unreadable.map(Self.unreadable)),
                        ]
                    })
            ),
            (
                "last_runs",
                .array(
                    overview.runs.map { run in
                        [
                            "command": .string(run.command), "run_id": .optional(run.runID),
                            "host": .optional(run.host), "started_at": .instant(run.startedAt),
                            "finished_at": .instant(run.finishedAt),
                            "exit_status": .whole(run.exitStatus),
                            "examined": .whole(run.examined),
                        ]
                    })
            ),
        ]
    }

    private static func unreadable(_ family: UnreadableFamily) -> JSONValue {
        [
            "endpoint": .string(family.endpoint), "since": .instant(family.since),
            "jobs": .integer(family.jobs), "last_error": .optional(family.message),
        ]
    }

    private static func success(_ overview: Overview) -> String {
        guard let success = overview.success else { return "-  (no job ended)" }
        return Plain.percent(success.delivered, of: success.of) + "  ("
            + jobs(overview.ended, none: "") + ")"
    }

    private static func jobs(_ counts: [String: Int], none: String) -> String {
        counts.isEmpty
            ? none
            : counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
                .joined(separator: ", ")
    }

    private static func providers(_ overview: Overview, _ missing: [String: [String]]) -> String {
        var table = TextTable(indent: 2)
        for provider in overview.providers {
            let absent = missing[provider.name]
            // One that nobody uses and that has no keys is no news.
            guard provider.isUsed || absent?.isEmpty == true || provider.failures > 0 else {
                continue
            }
            var words =
                provider.failures > 0
                ? "\(provider.failures) failures in a row"
                    + (provider.lastError.map { "; the last: \($0)" } ?? "") : "no trouble"
            if let until = provider.pausedUntil {
                words =
                    "left alone until \(until) (\(Plain.distance(until, from: overview.now))): "
                    + (provider.pauseReason ?? "no reason kept")
            } else if let absent, !absent.isEmpty {
                words = "set " + absent.joined(separator: " and ")
            }
            if let trouble = provider.keyTrouble {
                words = trouble + (provider.pausedUntil.map { "; left alone until \($0)" } ?? "")
            }
            for family in provider.unreadable {
                words += "; unreadable: \(family.name), \(family.jobs) jobs, since \(family.since)"
            }
            table.add(
                provider.name, absent.map { $0.isEmpty ? "on" : "off" } ?? "unknown", words)
        }
        return table.text
    }

    private static func runs(_ overview: Overview) -> String {
        var table = TextTable(indent: 2)
        for run in overview.runs {
            guard let startedAt = run.startedAt else {
                table.add(run.command, "never")
                continue
            }
            let end = run.finishedAt == nil ? "has not ended" : "exit \(run.exitStatus ?? 0)"
            table.add(
                run.command, "\(startedAt) (\(Plain.distance(startedAt, from: overview.now)))", end,
                run.examined.map { "examined \($0)" } ?? "", "on \(run.host ?? "?")")
        }
        return table.text
    }
}
