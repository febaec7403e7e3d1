import TestSupport
import Testing

/// The support table of the provider cookbook is the registry's own.
@Suite struct Cookbook {
    @Test func `the tables in docs/providers.md are what the build prints`() async throws {
        let printed = try await Executable.run(
            "holdfast", arguments: ["provider", "list", "--markdown"], environment: [:]
        ).stdout
        let page = try Tree.text("docs/providers.md")
        let tables = printed.split(separator: "\n\n")
        #expect(tables.count == 2)
        for table in tables {
            let isThere = page.contains(table.trimmingPrefix("\n"))
            #expect(
                isThere,
                "put the output of `holdfast provider list --markdown` into docs/providers.md")
        }
    }

    @Test func `the page on adding a provider names the files that the toy one has`() throws {
        let page = try Tree.text("docs/providers.md")
        let toys = Tree.files(below: "Tests/RecoveryTests/Toy")
        #expect(toys.count == 2)
        for file in toys { #expect(page.contains(file), "\(file)") }
    }
}
