import Core
import Foundation
import Ledger
import Statements

/// Writes the report of an invented night, and says how long that took and how much memory.
///
///     NightBench FOLDER [ACCOUNTS [BREAKS]]
@main
enum NightBench {
    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count > 1 else {
            print("usage: NightBench FOLDER [ACCOUNTS [BREAKS]]")
            exit(64)
        }
        let numbers = arguments.dropFirst(2).compactMap { Int($0) }
        let night = InventedNight(
            accounts: numbers.first ?? 4200, breaks: numbers.count > 1 ? numbers[1] : 34)
        let folder = arguments[1]
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        let pages = night.pages()
        let start = ContinuousClock.now
        var handles: [FileHandle] = []
        let audit = try NightStatements.write(pages, style: ReportStyle()) { file in
            let path = folder + "/" + file.name(day: pages.figures.day.day)
            _ = FileManager.default.createFile(atPath: path, contents: nil)
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
            handles.append(handle)
            return { try handle.write(contentsOf: Data($0)) }
        }
        for handle in handles { try handle.close() }
        let took = ContinuousClock.now - start
        print(try NightSummary(audit).text)
        print("\(audit.accounts) accounts, \(audit.breaks.count) breaks: \(took), \(peak())")
    }

    /// The most memory that this process had, as the kernel counts it.
    private static func peak() -> String {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        return line.map { String($0.dropFirst(6)).trimmingCharacters(in: .whitespaces) } ?? "?"
    }
}
