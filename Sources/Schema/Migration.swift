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
        Migration(5, "moves", PackageResources.v005_moves_sql),
        Migration(6, "news", PackageResources.v006_news_sql),
        Migration(7, "application", PackageResources.v007_application_sql),
        Migration(8, "work", PackageResources.v008_work_sql),
        Migration(9, "files", PackageResources.v009_files_sql),
        Migration(10, "people", PackageResources.v010_people_sql),
        Migration(11, "answers", PackageResources.v011_answers_sql),
        Migration(12, "lists", PackageResources.v012_lists_sql),
        Migration(13, "lost_submissions", PackageResources.v013_lost_submissions_sql),
        Migration(14, "callbacks", PackageResources.v014_callbacks_sql),
        Migration(15, "rates", PackageResources.v015_rates_sql),
        Migration(16, "usage", PackageResources.v016_usage_sql),
        Migration(17, "breaks", PackageResources.v017_breaks_sql),
        Migration(18, "matching", PackageResources.v018_matching_sql),
        Migration(19, "days", PackageResources.v019_days_sql),
        Migration(20, "close", PackageResources.v020_close_sql),
        Migration(21, "both_ways", PackageResources.v021_both_ways_sql),
        Migration(22, "fixes", PackageResources.v022_fixes_sql),
        Migration(23, "installation", PackageResources.v023_installation_sql),
        Migration(24, "rewind", PackageResources.v024_rewind_sql),
        Migration(25, "corrections", PackageResources.v025_corrections_sql),
        Migration(26, "forget", PackageResources.v026_forget_sql),
        Migration(27, "seals", PackageResources.v027_seals_sql),
        Migration(28, "left_deliveries", PackageResources.v028_left_deliveries_sql),
        Migration(29, "grants", PackageResources.v029_grants_sql),
    ]

    /// Who may do what; applied again by each setup and migrate, because a restore elsewhere loses it.
    static var rights: Migration { all[all.count - 1] }

    /// The newest schema version that this build works with, which it installs.
    package static var current: Int { all.last?.version ?? 0 }

    /// The oldest schema version that this build works with: that of the release before.
    package static let oldest = 29

    /// The oldest release, by its newest schema version, whose programs the current schema keeps the
    /// functions for: the one before this release, so that hosts may be upgraded one by one.
    static let worksWith = 29

    /// Of `holdfast.schema_version v`: whether this build works with it, as SQL.
    package static var fits: String {
        """
        coalesce(max(v.version) >= \(oldest) AND coalesce((array_agg(v.works_with \
        ORDER BY v.version DESC))[1], max(v.version)) <= \(current), false)
        """
    }

    init(_ version: Int, _ name: String, _ bytes: [UInt8]) {
        self.version = version
        self.name = name
        sql = String(decoding: bytes, as: UTF8.self)
    }
}
