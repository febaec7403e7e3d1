// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")

/// A room: one library target under `Sources/`, with the arrows it may follow.
func room(_ name: String, _ known: [Target.Dependency] = [], resources: [Resource]? = nil)
    -> Target
{
    .target(name: name, dependencies: known, resources: resources, swiftSettings: strict)
}

/// What the night and people need of the books, and the runs of every minute do not carry along.
let night: [Target.Dependency] = ["Ledger", "Closing", "BookReports", "NightAssembly"]

/// A shipped executable: flags, wiring, exit status; no logic.
func executable(_ name: String, _ known: [Target.Dependency] = []) -> Target {
    let wiring: [Target.Dependency] = [
        "Core", "Postgres", "HTTP", "Schema", "Jobs", "Providers", "Storage", "Recovery",
        "Reports", "Runner", "Assembly", arguments,
    ]
    return .executableTarget(
        name: name, dependencies: wiring + known, swiftSettings: strict)
}

func tests(_ name: String, _ known: [Target.Dependency] = [], resources: [Resource]? = nil)
    -> Target
{
    .testTarget(
        name: name, dependencies: known + ["TestSupport"], resources: resources,
        swiftSettings: strict)
}

let package = Package(
    name: "holdfast",
    products: [
        .executable(name: "stuck-sweeper", targets: ["StuckSweeper"]),
        .executable(name: "orphan-recoverer", targets: ["OrphanRecoverer"]),
        .executable(name: "storage-mirrorer", targets: ["StorageMirrorer"]),
        .executable(name: "ledger-reconciler", targets: ["LedgerReconciler"]),
        .executable(name: "callback-receiver", targets: ["CallbackReceiver"]),
        .executable(name: "holdfast", targets: ["Holdfast"]),
        .executable(name: "provider-simulator", targets: ["ProviderSimulator"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    ],
    targets: [
        .systemLibrary(
            name: "CPostgreSQL", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(
            name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        room("Core"),
        room("Postgres", ["CPostgreSQL", "Core"]),
        room("HTTP", ["CCurl", "Core"]),
        room("Schema", ["Postgres", "Core"], resources: [.embedInCode("Migrations")]),
        room("Jobs", ["Postgres", "Core"]),
        room("Ledger", ["Postgres", "Core"]),
        room("Disk"),
        room("Adoption", ["Postgres", "Core"]),
        room("Reception", ["Core", "Disk", crypto]),
        room("Bills", ["Core", "Disk", crypto]),
        room("Providers", ["HTTP", "Core", crypto]),
        room("Storage", ["HTTP", "Core", "Disk", crypto]),
        room(
            "Recovery",
            ["Core", "Postgres", "Jobs", "Providers", "Storage", "HTTP", "Reception"]),
        room("Reports", ["Core", "Jobs", "Recovery"]),
        room(
            "Closing",
            ["Core", "Postgres", "Jobs", "Ledger", "Providers", "HTTP", "Recovery"]),
        room("BookReports", ["Core", "Ledger", "Closing", "Reports"]),
        room("Statements", ["Core", "Ledger"]),
        room("Delivery", ["Core", "HTTP", "Storage", "Disk", "Statements", crypto]),
        room("Runner", ["Core", "Postgres", "Disk", logging, arguments]),
        room(
            "Assembly",
            [
                "Core", "Postgres", "HTTP", "Schema", "Jobs", "Providers", "Storage", "Reception",
                "Recovery", "Reports", "Runner", logging,
            ]),
        room(
            "NightAssembly",
            [
                "Core", "Postgres", "HTTP", "Storage", "Ledger", "Closing", "Statements",
                "Delivery", "Recovery", "Runner", "Assembly", logging,
            ]),
        executable("StuckSweeper"),
        executable("OrphanRecoverer"),
        executable("StorageMirrorer"),
        executable("LedgerReconciler", night),
        // Started once for each callback: nothing is linked that it does not need.
        .executableTarget(
            name: "CallbackReceiver",
            dependencies: ["Core", "Postgres", "Jobs", "Reception", "Runner", arguments],
            swiftSettings: strict),
        executable("Holdfast", night + ["Reception", "Bills", "Statements", "Adoption"]),
        .executableTarget(
            name: "ProviderSimulator", dependencies: [arguments, crypto, "Core"],
            swiftSettings: strict),
        .executableTarget(
            name: "VerdictBench", dependencies: ["Core", "HTTP", "Providers"],
            swiftSettings: strict),
        .executableTarget(
            name: "NightBench", dependencies: ["Core", "Ledger", "Statements"],
            swiftSettings: strict),
        .executableTarget(
            name: "EgressProbe", dependencies: ["Core", "HTTP"], swiftSettings: strict),
        room("TestSupport", ["Core", "Postgres", "HTTP", "Schema", "Jobs", "Providers"]),
        tests("CoreTests", ["Core"]),
        tests("PostgresTests", ["Postgres", "Core"]),
        tests("HTTPTests", ["HTTP", "Core"]),
        tests("SchemaTests", ["Schema", "Postgres", "Core"]),
        tests(
            "ProvidersTests", ["Providers", "HTTP", "Core", crypto], resources: [.copy("Samples")]),
        tests(
            "StorageTests", ["Storage", "HTTP", "Disk", "Core", crypto],
            resources: [.copy("Media")]),
        tests("BillsTests", ["Bills", "Core"]),
        tests("AdoptionTests", ["Adoption", "Postgres", "Core"], resources: [.copy("Apps")]),
        tests("ReceptionTests", ["Reception", "Jobs", "Postgres", "Core"]),
        tests(
            "RecoveryTests",
            [
                "Recovery", "Jobs", "Ledger", "Providers", "Storage", "Reception", "Postgres",
                "Core",
                "HTTP",
            ]),
        tests("ReportsTests", ["Reports", "Recovery", "Jobs", "Core"]),
        tests(
            "StatementsTests",
            [
                "Statements", "Delivery", "Ledger", "Storage", "HTTP", "Core", "Runner",
                "NightAssembly",
            ]),
        tests("RunnerTests", ["Runner", "Core"]),
        tests("IncidentTests", ["Postgres", "Core"]),
        tests("TidyTests", ["Core"]),
    ]
)

// libFuzzer brings a main function of its own, so this target is there for scripts/fuzz alone.
if Context.environment["HOLDFAST_FUZZ"] != nil {
    package.products.append(.executable(name: "fuzz-verdicts", targets: ["FuzzVerdicts"]))
    package.targets.append(
        .executableTarget(
            name: "FuzzVerdicts", dependencies: ["Core", "HTTP", "Providers"],
            swiftSettings: strict + [.unsafeFlags(["-parse-as-library"])]))
}
