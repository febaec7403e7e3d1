import Core
import Jobs
import Postgres
import Reception

/// Brings the callbacks of a spool folder into the inbox, each once, in the order of arrival.
///
/// A file is removed only after its row is committed. A run that dies between the two leaves a file
/// whose name the database knows.
struct SpoolDrain {
    /// Files in one transaction, and bytes of bodies in it; the one that passes it is the last.
    private static let batchSize = 50
    private static let batchLimitBytes = 8 << 20
    /// Files that one run takes; the next goes on.
    private static let fileLimit = 20_000

    private let wiring: Wiring
    private let spool: Spool

    init(_ wiring: Wiring, _ spool: Spool) {
        self.wiring = wiring
        self.spool = spool
    }

    func run(
        _ connection: borrowing Connection, until deadline: ContinuousClock.Instant,
        into report: inout RunReport
    ) throws {
        do {
            let listing = try spool.list()
            var names = listing.names.prefix(Self.fileLimit)[...]
            while !names.isEmpty, !wiring.shouldStop(), ContinuousClock.now < deadline {
                let batch = try next(&names, into: &report)
                try keep(connection, batch, into: &report)
            }
            try spool.removeLeftovers(listing.unfinished, now: wiring.wallClock())
        } catch let failure as Failure {
            // The jobs are looked after all the same.
            report.add(.init(code: failure.code, message: failure.message), status: failure.status)
        }
    }

    /// Reads the next files; those that cannot be read are set aside and reported.
    private func next(
        _ names: inout ArraySlice<String>, into report: inout RunReport
    ) throws(Failure) -> [SpooledCallback] {
        var batch: [SpooledCallback] = []
        var bytes = 0
        while batch.count < Self.batchSize, bytes < Self.batchLimitBytes,
            let name = names.popFirst()
        {
            switch try spool.read(name) {
            case .gone: continue
            case .callback(let callback):
                batch.append(callback)
                bytes += callback.body.count
            case .damaged:
                try setAside(name, "it is cut off or changed", into: &report)
            case .newer:
                report.add(
                    .init(
                        code: "spool_newer",
                        message:
                            "callback \(name) in \(spool.folder) was spooled by a newer build; "
                            + "install that build of stuck-sweeper on this host"),
                    status: .configuration)
            }
        }
        return batch
    }

    private func keep(
        _ connection: borrowing Connection, _ batch: [SpooledCallback], into report: inout RunReport
    ) throws {
        guard !batch.isEmpty else { return }
        let kept: [Intake.Spooled]
        do {
            kept = try connection.repeatable { try batch.map { try Intake.keep(connection, $0) } }
        } catch let error as PostgresError where error.isRowTrouble {
            guard batch.count == 1 else {
                // One of them cannot be stored; it must not hold up the others.
                for callback in batch { try keep(connection, [callback], into: &report) }
                return
            }
            return try setAside(
                batch[0].spoolID, "the database cannot store it (SQLSTATE \(error.sqlState))",
                into: &report)
        }
        for (callback, result) in zip(batch, kept) where result != .busy {
            try spool.remove(callback.spoolID)
            wiring.tell("spooled callback \(callback.spoolID): \(result.rawValue)")
        }
    }

    private func setAside(
        _ name: String, _ why: String, into report: inout RunReport
    ) throws(Failure) {
        try spool.setAside(name)
        report.add(
            .init(
                code: "spool_set_aside",
                message: "a spooled callback cannot be read: \(why); it is kept as "
                    + "\(name).callback.aside in \(spool.folder) for a person to look at"),
            status: .needsPerson)
    }
}
