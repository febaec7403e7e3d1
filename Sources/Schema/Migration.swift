/// One numbered step of the schema, embedded in the executable from `Migrations/`.
package struct Migration: Sendable {
    package let version: Int
    package let name: String
    package let sql: String

    /// All steps in order; a person can run the same files by hand with psql.
    package static let all: [Migration] = [
        Migration(1, "tables", PackageResources.v001_tables_sql),
        Migration(2, "rules", PackageResources.v002_rules_sql),
        Migration(3, "settlement", PackageResources.v003_settlement_sql),
        Migration(4, "views", PackageResources.v004_views_sql),
        Migration(5, "application", PackageResources.v005_application_sql),
        Migration(6, "work", PackageResources.v006_work_sql),
        Migration(7, "files", PackageResources.v007_files_sql),
        Migration(8, "people", PackageResources.v008_people_sql),
        Migration(9, "lists", PackageResources.v009_lists_sql),
        Migration(10, "callbacks", PackageResources.v010_callbacks_sql),
        Migration(11, "rates", PackageResources.v011_rates_sql),
        Migration(12, "usage", PackageResources.v012_usage_sql),
        Migration(13, "breaks", PackageResources.v013_breaks_sql),
        Migration(14, "matching", PackageResources.v014_matching_sql),
        Migration(15, "days", PackageResources.v015_days_sql),
        Migration(16, "close", PackageResources.v016_close_sql),
        Migration(17, "both_ways", PackageResources.v017_both_ways_sql),
        Migration(18, "fixes", PackageResources.v018_fixes_sql),
        Migration(19, "grants", PackageResources.v019_grants_sql),
    ]

    /// Who may do what; applied again by each setup and migrate, because a restore elsewhere loses it.
    static var rights: Migration { all[all.count - 1] }

    /// The schema version that this build works with.
    package static var current: Int { all.last?.version ?? 0 }

    init(_ version: Int, _ name: String, _ bytes: [UInt8]) {
        self.version = version
        self.name = name
        sql = String(decoding: bytes, as: UTF8.self)
    }
}
