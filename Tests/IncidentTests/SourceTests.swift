import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// Hosts of files that break off, lie and change: what is stored is the file, or nothing.
@Suite struct Sources {
    static let size = 3_000_000
    /// A video of `size` bytes, whose content reaches to the end.
    static let head: [UInt8] = {
        func big(_ value: Int) -> [UInt8] {
            [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
        }
        return big(16) + Array("ftypisom".utf8) + [0, 0, 2, 0] + big(8) + Array("moov".utf8)
            + big(size - 24) + Array("mdat".utf8)
    }()

    enum End: Sendable {
        /// Stored in the first run, with so many answers of the source, of which one may be a rest.
        case stored(answers: Int, resumed: Bool)
        /// Not stored in the first run, nor lost.
        case later
    }

    struct Case: CustomTestStringConvertible, Sendable {
        var behaviour: HostileSource.Behaviour
        var drops = 0
        var end: End
        var testDescription: String { "\(behaviour.rawValue), \(drops) drops" }
    }

    static let cases: [Case] = [
        .init(behaviour: .strongETag, end: .stored(answers: 1, resumed: false)),
        .init(behaviour: .strongETag, drops: 1, end: .stored(answers: 2, resumed: true)),
        .init(behaviour: .strongETag, drops: 3, end: .stored(answers: 4, resumed: true)),
        .init(behaviour: .dateOnly, drops: 1, end: .stored(answers: 2, resumed: true)),
        .init(behaviour: .weakETag, drops: 1, end: .stored(answers: 2, resumed: false)),
        .init(behaviour: .noValidator, drops: 1, end: .stored(answers: 2, resumed: false)),
        .init(behaviour: .ignoresRange, drops: 1, end: .stored(answers: 2, resumed: true)),
        .init(behaviour: .noLength, end: .stored(answers: 1, resumed: false)),
        .init(behaviour: .chunked, drops: 1, end: .stored(answers: 2, resumed: false)),
        .init(behaviour: .wrongStart, drops: 1, end: .stored(answers: 3, resumed: true)),
        .init(behaviour: .wrongTotal, drops: 1, end: .stored(answers: 3, resumed: true)),
        .init(behaviour: .noContentRange, drops: 1, end: .stored(answers: 3, resumed: true)),
        .init(behaviour: .unsatisfiable, drops: 1, end: .stored(answers: 3, resumed: true)),
        .init(behaviour: .multipart, drops: 1, end: .stored(answers: 3, resumed: true)),
        .init(behaviour: .overlapDiffers, drops: 1, end: .stored(answers: 3, resumed: true)),
        .init(behaviour: .redirects, drops: 1, end: .stored(answers: 2, resumed: true)),
        .init(behaviour: .shorter, end: .later),
        .init(behaviour: .longer, end: .later),
        .init(behaviour: .gzip, end: .later),
        .init(behaviour: .redirectLoop, end: .later),
        .init(behaviour: .errorPage, drops: 1, end: .later),
    ]

    @Test(arguments: cases)
    func `a file arrives whole, or not at all`(_ one: Case) async throws {
        let source = try HostileSource(
            one.behaviour, size: Self.size, head: Self.head, contentType: "video/mp4",
            after: one.drops > 0 ? 1_700_000 / one.drops : nil, drops: one.drops)
        let line = try await fetching([source.url])
        let report = try await line.report("storage-mirrorer", offset: "+1m")
        switch one.end {
        case .stored(let answers, let isResumed):
            #expect(report["outcomes"]?["stored"]?.int == 1, "\(JSON.write(report))")
            #expect(try line.value("SELECT sha256 FROM holdfast.asset") == source.sha256)
            let log = try source.log()
            #expect(log.count == answers, "\(JSON.write(.array(log)))")
            let words = JSON.write(.array(log)).lowercased()
            #expect(words.contains("if-range") == isResumed)
        case .later:
            #expect(report["outcomes"]?["retry_later"]?.int == 1, "\(JSON.write(report))")
            #expect(report["outcomes"]?["lost"] == nil)
            #expect(line.storedFiles() == [])
            try line.checkUndecided("job-1", "succeeded/held")
        }
    }

    /// A host that goes over to another file of the same length between two answers: never spliced.
    @Test(arguments: [
        HostileSource.Behaviour.changes, .ignoresIfRange, .liesAboutETag,
    ])
    func `two files are never spliced into one`(_ behaviour: HostileSource.Behaviour) async throws {
        let source = try HostileSource(
            behaviour, size: Self.size, head: Self.head, contentType: "video/mp4",
            after: 1_700_000, drops: 1)
        let line = try await fetching([source.url])
        _ = try await line.report("storage-mirrorer", offset: "+1m")
        #expect(try line.value("SELECT sha256 FROM holdfast.asset") == source.otherSHA256)
        #expect(line.storedFiles().count == 1)
    }

    /// The address expires in the middle of a file: the provider gives another, and the transfer
    /// goes on where it ended.
    @Test(arguments: [401, 403, 404, 410])
    func `an address that expires at two thirds is refreshed, and the rest fetched`(
        _ status: Int
    ) async throws {
        let source = try HostileSource(
            .expires, size: Self.size, head: Self.head, contentType: "video/mp4",
            after: 2_000_000, drops: 1, options: ["status": .integer(status)])
        let fresh = try source.refreshedURL()
        let body = JSON.write(["code": 200, "msg": "success", "data": .string(fresh)])
        let kie = try OddServer(type: "application/json", Array(body.utf8))
        let line = try await fetching([source.url])
        let report = try await line.report(
            "storage-mirrorer", offset: "+1m", ["HOLDFAST_KIE_BASE_URL": kie.url("")])
        #expect(report["outcomes"]?["refreshed"]?.int == 1, "\(JSON.write(report))")
        #expect(report["outcomes"]?["stored"]?.int == 1, "\(JSON.write(report))")
        #expect(try line.value("SELECT sha256 FROM holdfast.asset") == source.sha256)
        #expect(kie.requests == 1)
        // The rest alone came from the new address.
        let rest = JSON.write(.array(try source.log())).lowercased()
        #expect(rest.contains("range"))
    }

    /// What a host says of a file's length decides how it goes into a bucket, and may be untrue.
    @Test(arguments: [
        HostileSource.Behaviour.strongETag, .noLength, .chunked, .chunkedWithLength, .shorter,
        .longer,
    ])
    func `in a bucket too, a file is there whole, or not at all`(
        _ behaviour: HostileSource.Behaviour
    ) async throws {
        let source = try HostileSource(
            behaviour, size: Self.size, head: Self.head, contentType: "video/mp4")
        let peer = try S3Peer(.rclone)
        let line = try await fetching([source.url], bucket: peer)
        let report = try await line.report("storage-mirrorer", offset: "+1m")
        guard behaviour != .shorter, behaviour != .longer else {
            #expect(report["outcomes"]?["retry_later"]?.int == 1, "\(JSON.write(report))")
            #expect(try peer.objects().isEmpty)
            return
        }
        #expect(report["outcomes"]?["stored"]?.int == 1, "\(JSON.write(report))")
        #expect(try peer.objects().count == 1)
        let key = try line.value("SELECT object_key FROM holdfast.asset")
        #expect(try peer.object("made/here/" + key)?.sha256 == source.sha256)
    }

    private func fetching(
        _ urls: [String], bucket: S3Peer? = nil
    ) async throws -> RescueLine {
        let line = try RescueLine(bucket: bucket)
        try line.open("job-1", taskID: "task-1", task: nil)
        try line.sql("SELECT holdfast.finish_job('job-1', 'succeeded', \(urls)::text[])")
        return line
    }
}
