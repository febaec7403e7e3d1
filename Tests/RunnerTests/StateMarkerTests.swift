import Core
import Foundation
import Testing

@testable import Runner

@Suite struct StateFolderMarkers {
    @Test func `markers lie beside what the folder remembers`() throws {
        let path = NSTemporaryDirectory() + "/holdfast-state-" + RunID.make()
        defer { try? FileManager.default.removeItem(atPath: path) }
        let settings = try Settings(
            envFile: nil, environment: { $0 == StateFolder.variable ? path : nil })
        let folder = try #require(StateFolder(settings))
        #expect(folder.words == "state folder \(path)")
        let name = MarkerName("..")
        #expect(name.path == ".holdfast/=2E.")
        #expect(try folder.read(name) == .absent)
        #expect(try folder.writeIfAbsent(name, [1, 2]))
        #expect(try !folder.writeIfAbsent(name, [3]))
        #expect(try folder.read(name) == .bytes([1, 2]))
        try folder.overwrite(name, [3])
        #expect(try folder.read(name) == .bytes([3]))
        try Data(repeating: 0, count: 5000).write(
            to: URL(fileURLWithPath: "\(path)/\(MarkerName.installation)"))
        #expect(try folder.read(.installation) == .tooLarge)
        let names = try FileManager.default.contentsOfDirectory(atPath: path + "/.holdfast")
        #expect(names.sorted() == ["=2E.", "installation"])
    }
}
