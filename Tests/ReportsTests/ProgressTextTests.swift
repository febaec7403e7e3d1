import Core
import Recovery
import Reports
import Testing

/// Files on their way, as somebody at a terminal sees them.
@Suite struct ProgressTextTests {
    @Test(
        arguments: [
            (0, "0 B"), (1, "1 B"), (999, "999 B"), (1000, "1.0 kB"), (1049, "1.0 kB"),
            (1050, "1.1 kB"), (12_345, "12.3 kB"), (99_949, "99.9 kB"), (99_950, "100 kB"),
            (123_456, "123 kB"), (999_499, "999 kB"), (999_500, "1.0 MB"), (12_400_000, "12.4 MB"),
            (1_000_000_000, "1.0 GB"), (20 << 30, "21.5 GB"), (.max, "9.2 EB"), (-5, "0 B"),
        ] as [(Int64, String)])
    func `a size has three digits at most`(_ bytes: Int64, _ text: String) {
        #expect(ProgressText.size(bytes) == text)
    }

    @Test(
        arguments: [
            (38_000_000, Duration.seconds(1), "38 MB/s"), (3_800_000, .seconds(1), "3.8 MB/s"),
            (9_949_999, .seconds(1), "9.9 MB/s"), (9_950_000, .seconds(1), "10 MB/s"),
            (500, .seconds(1), "500 B/s"), (1, .seconds(3600), "0 B/s"),
            (1000, .milliseconds(1), "1.0 MB/s"), (1000, .zero, "-"), (0, .zero, "-"),
            (0, .seconds(1), "0 B/s"), (.max, .microseconds(1), "-"), (1000, .seconds(-1), "-"),
        ] as [(Int64, Duration, String)])
    func `a speed is known once time has passed`(
        _ bytes: Int64, _ duration: Duration, _ text: String
    ) {
        #expect(ProgressText.speed(bytes, duration) == text)
    }

    @Test(arguments: [
        (
            EndedFile(
                outcome: "stored", name: "acct/video/job_0.mp4", bytes: 12_400_000,
                duration: .milliseconds(326)),
            "stored  acct/video/job_0.mp4  12.4 MB  38 MB/s"
        ),
        (
            EndedFile(
                outcome: "already_stored", name: "acct/video/job_0.mp4", bytes: 4096,
                duration: .zero),
            "already_stored  acct/video/job_0.mp4  4.1 kB"
        ),
        (
            EndedFile(
                outcome: "lost", name: "job/0", bytes: 0, duration: .seconds(1),
                reason: "the source answered HTTP 404"),
            "lost  job/0  the source answered HTTP 404"
        ),
        (
            EndedFile(
                outcome: "retry_later", name: "job/0", bytes: 0, duration: .zero,
                reason: "two\nlines \u{1b}[2J"),
            "retry_later  job/0  two\\nlines \\u{1b}[2J"
        ),
    ])
    func `a file that ended is one line`(_ file: EndedFile, _ text: String) {
        #expect(ProgressText.line(file) == text)
    }

    private func totals(
        _ ended: Int, of claimed: Int, bytes: Int64 = 1_200_000_000,
        duration: Duration = .seconds(32), untilExpiry: Duration? = .seconds(10_920)
    ) -> FileTotals {
        var totals = FileTotals()
        totals.ended = ended
        totals.claimed = claimed
        totals.bytes = bytes
        totals.duration = duration
        totals.untilExpiry = untilExpiry
        return totals
    }

    @Test func `the bar says how far all of them are`() {
        #expect(
            ProgressText.bar(totals(5, of: 10), columns: 120)
                == "[##########..........] 5 of 10 files  1.2 GB  38 MB/s  nearest expiry in 3h 2m")
        #expect(
            ProgressText.bar(
                totals(0, of: 0, bytes: 0, duration: .zero, untilExpiry: nil), columns: 120)
                == "[....................] 0 of 0 files  0 B  -")
        let over = ProgressText.bar(totals(1, of: 1, untilExpiry: .seconds(-1)), columns: 120)
        #expect(over.hasPrefix("[####################] 1 of 1 files"))
        #expect(over.hasSuffix("nearest expiry is over"))
        // A count that grows under its hand must not break it.
        #expect(
            ProgressText.bar(totals(12, of: 10), columns: 120).hasPrefix("[####################] "))
    }

    @Test(arguments: 0...100)
    func `the bar is never wider than the terminal`(_ columns: Int) {
        let bar = ProgressText.bar(totals(5, of: 10), columns: columns)
        #expect(bar.count <= columns)
        // Whole parts go, so that no number is cut in two.
        if columns >= 46 { #expect(bar.contains("1.2 GB")) }
        if columns < 78 { #expect(!bar.contains("nearest")) }
    }

    @Test func `a verification of very many files says that their number is an estimate`() {
        let bar = ProgressText.bar(
            verified: 100, of: 2_000_000, isEstimated: true, bytes: 1_000_000,
            duration: .seconds(1), columns: 120)
        #expect(bar == "[....................] 100 of about 2000000 files  1.0 MB  1.0 MB/s")
    }
}
