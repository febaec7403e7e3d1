import Core
import Foundation
import Postgres
import TestSupport
import Testing

/// A store that cannot be written to: the message, the list of files and the runbook say the same.
@Suite struct StoreList {
    @Test func `the list of files says why none is stored, and nobody is sent to another folder`()
        async throws
    {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        try line.callBack(#"{"data":{"taskId":"task-1"}}"#)
        _ = try await line.run("stuck-sweeper")
        let folder = NSTemporaryDirectory() + "holdfast-store-" + RunID.make()
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        // Not a folder: it can be written by nobody, also where the tests run as root.
        try Data().write(to: URL(fileURLWithPath: folder + "/assets"))
        let changes = ["HOLDFAST_STORAGE_URL": "file://" + folder + "/assets" as String?]
        let run = try await line.run("storage-mirrorer", [], changes)
        #expect(run.status == 78, "\(run.stderr)")
        #expect(!run.stderr.contains("set HOLDFAST_STORAGE_URL to"), "\(run.stderr)")
        let list = try await line.run("holdfast", ["asset", "list", "--state", "pending"], changes)
        #expect(list.stdout.contains("no file is stored now: cannot"), "\(list.stdout)")
        #expect(list.stdout.contains(folder + "/assets"), "\(list.stdout)")
        let object = try await line.report("holdfast", ["asset", "list"], changes)
        #expect(object["store_problem"]?.text?.contains(folder) == true)
        _ = try await line.minute()
        try line.checkDelivered("job-1", task: "task-1")
        // Ten minutes without it, and it is over.
        _ = try await line.minute(offset: "+11m")
        let healthy = try await line.run("holdfast", ["asset", "list"])
        #expect(!healthy.stdout.contains("no file is stored now"), "\(healthy.stdout)")
    }
}
