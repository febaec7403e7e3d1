import TestSupport
import Testing

/// Which room may know which: an arrow points from the room that knows to the one that is known.
///
/// The build does not refuse an import that is reached through somebody else's dependency; this does.
@Suite struct Arrows {
    private static let job: Set<String> = [
        "ArgumentParser", "Assembly", "Core", "Postgres", "Recovery", "Reports", "Runner",
    ]

    static let allowed: [String: Set<String>] = [
        "CPostgreSQL": [],
        "CCurl": [],
        "Core": ["Glibc", "Synchronization"],
        "Postgres": ["CPostgreSQL", "Core", "Glibc"],
        "HTTP": ["CCurl", "Core", "Glibc"],
        "Schema": ["Postgres", "Core"],
        "Jobs": ["Postgres", "Core"],
        "Ledger": ["Postgres", "Core"],
        "Providers": ["HTTP", "Core", "Crypto"],
        "Storage": ["HTTP", "Core", "Disk", "Crypto", "Glibc"],
        "Disk": ["Glibc"],
        "Adoption": ["Core", "Postgres"],
        "Bills": ["Core", "Disk", "Crypto", "Glibc"],
        "Reception": ["Core", "Disk", "Crypto", "Glibc"],
        "Recovery": [
            "Core", "Postgres", "Jobs", "Providers", "Storage", "HTTP", "Reception", "Glibc",
        ],
        "Reports": ["Core", "Jobs", "Recovery"],
        "Closing": [
            "Core", "Postgres", "Jobs", "Ledger", "Providers", "HTTP", "Recovery",
        ],
        "BookReports": ["Core", "Ledger", "Closing", "Reports"],
        "Statements": ["Core", "Ledger"],
        "Delivery": ["Core", "HTTP", "Storage", "Disk", "Statements", "Crypto", "Glibc"],
        "Runner": [
            "Core", "Postgres", "Disk", "Glibc", "Synchronization", "ArgumentParser", "Logging",
        ],
        "Assembly": [
            "Core", "Postgres", "HTTP", "Schema", "Jobs", "Providers", "Storage", "Reception",
            "Recovery", "Reports", "Runner", "Logging",
        ],
        "NightAssembly": [
            "Core", "Postgres", "HTTP", "Storage", "Ledger", "Closing", "Statements", "Delivery",
            "Recovery", "Runner", "Assembly", "Logging",
        ],
        "StuckSweeper": job,
        "OrphanRecoverer": job,
        "StorageMirrorer": job,
        "LedgerReconciler": job.union(["Closing", "BookReports", "NightAssembly"]),
        // It starts once for each callback, and knows no provider.
        "CallbackReceiver": [
            "ArgumentParser", "Core", "Glibc", "Jobs", "Postgres", "Reception", "Runner",
        ],
        // What people do by hand touches every room; of C it sees the platform's alone.
        "Holdfast": job.union([
            "HTTP", "Jobs", "Ledger", "Providers", "Reception", "Schema", "Bills", "Storage",
            "Closing", "BookReports", "NightAssembly", "Statements", "Adoption", "Glibc",
        ]),
        "ProviderSimulator": [
            "Core", "ArgumentParser", "Crypto", "Foundation", "Glibc",
        ],
        "VerdictBench": ["Core", "HTTP", "Providers", "Foundation"],
        "NightBench": ["Core", "Ledger", "Statements", "Foundation"],
        "FuzzVerdicts": ["Core", "HTTP", "Providers"],
        "EgressProbe": ["Core", "HTTP", "Foundation"],
        "TestSupport": [
            "Core", "Postgres", "HTTP", "Schema", "Jobs", "Providers", "Foundation", "Glibc",
        ],
    ]

    /// Rooms that never reach a user's machine.
    static let unshipped: Set<String> = [
        "ProviderSimulator", "VerdictBench", "NightBench", "FuzzVerdicts", "EgressProbe",
        "TestSupport",
    ]

    /// `file:line` and module of every import below a folder.
    static func imports(below folder: String) -> [(place: String, module: String)] {
        let pattern =
            #/
            ^\s* (?: @\w+ (?:\([^)]*\))? \s+ )*
            (?: (?:public|package|internal|fileprivate|private) \s+ )?
            import \s+ (?: (?:struct|class|enum|protocol|typealias|func|var|let|actor) \s+ )?
            (?<module>\w+)
            /#
        return Tree.files(below: folder, ending: ".swift").flatMap { path in
            Tree.lines(path).compactMap { line in
                line.text.prefixMatch(of: pattern).map {
                    ("\(path):\(line.number)", String($0.output.module))
                }
            }
        }
    }

    @Test(arguments: Tree.rooms)
    func `a room imports what it may know and nothing else`(_ room: String) throws {
        let allowed = try #require(
            Self.allowed[room], "a new room needs its row in this table: \(room)")
        let imports = Self.imports(below: "Sources/\(room)")
        #expect(
            imports.filter { !allowed.contains($0.module) }.map { "\($0.place) \($0.module)" } == []
        )
    }

    @Test func `the table is about rooms that import something at all`() {
        // Guards the pattern: a table that nothing is held against would always be kept.
        let modules = Tree.rooms.flatMap { Self.imports(below: "Sources/\($0)").map(\.module) }
        #expect(modules.count > 100)
        for module in ["CPostgreSQL", "CCurl", "Core", "Glibc", "ArgumentParser", "Crypto"] {
            #expect(modules.contains(module), "no import of \(module) found")
        }
    }

    @Test(arguments: [("CPostgreSQL", "Postgres"), ("CCurl", "HTTP")])
    func `a C library has one door`(_ library: String, _ room: String) {
        let places = (Self.imports(below: "Sources") + Self.imports(below: "Tests"))
            .filter { $0.module == library }.map(\.place)
        #expect(!places.isEmpty)
        #expect(places.filter { !$0.hasPrefix("Sources/\(room)/") } == [])
    }

    @Test func `shipped rooms never import Foundation`() {
        let places = Tree.rooms.filter { !Self.unshipped.contains($0) }
            .flatMap { Self.imports(below: "Sources/\($0)") }
            .filter { $0.module == "Foundation" || $0.module.hasPrefix("FoundationN") }
        #expect(places.map(\.place) == [])
    }

    @Test func `what helps tests is known to tests only`() {
        let ours = Self.imports(below: "Sources").filter {
            ["TestSupport", "Testing", "XCTest"].contains($0.module)
        }
        #expect(ours.map(\.place) == [])
    }

    /// No types of C in a room's surface.
    @Test func `C libraries are imported for the room alone`() {
        let places = Tree.findings(
            #/^\s*(public|package)\s+import\s+(CPostgreSQL|CCurl)\b/#,
            in: Tree.files(below: "Sources", ending: ".swift"))
        #expect(places == [])
    }
}
