import Core
import Foundation
import TestSupport
import Testing

/// Addresses with a user and a password in them, well written and badly: nothing of what stands
/// between `//` and the last `@` is ever said, by no executable and in no form.
@Suite struct SecretAddresses {
    /// Letters that no message of ours has next to each other.
    static let user = "Kj5vB8"

    struct Odd: Sendable, CustomTestStringConvertible {
        var password: String
        /// What a person has to write instead; nil where the address is right as it stands.
        var fix: String?

        var testDescription: String { password }
    }

    static let passwords: [Odd] = [
        .init(password: "Zq7@Xw9", fix: "%40"), .init(password: "Zq7@Xw9@Mk3", fix: "%40"),
        .init(password: "@Zq7Xw9", fix: "%40"), .init(password: "Zq7Xw9@", fix: "%40"),
        .init(password: "Zq7/Xw9", fix: "%2F"), .init(password: "80/Zq7Xw9", fix: "%2F"),
        .init(password: "Zq7?Xw9", fix: "%3F"), .init(password: "Zq7?Xw9=Mk3&Ln4", fix: "%3F"),
        .init(password: "Zq7#Xw9", fix: "%23"), .init(password: "Zq7%Xw9", fix: "%25"),
        .init(password: "Zq7Xw9%4", fix: "%25"), .init(password: "Zq7[Xw9", fix: "%5B"),
        .init(password: "Zq7 Xw9", fix: "%20"), .init(password: "Zq7@Xw9/Mk3#Ln4", fix: "%40"),
        .init(password: "Zq7/Xw9?Mk3@Ln4", fix: "%2F"),
        .init(password: "Zq7#Xw9/Mk3@Ln4:5432/Pr8", fix: "%23"),
        .init(password: "Zq7%40Xw9"), .init(password: "Zq7:Xw9"), .init(password: "Zq7'Xw9\"Mk3"),
        .init(password: "Zq7&Xw9=Mk3"), .init(password: "Zq7%2FXw9%23Mk3"),
    ]

    /// Every three characters in a row that the secret has, but for the escapes that a fix names.
    private static func pieces(_ odd: Odd) -> Set<String> {
        var pieces: Set<String> = []
        for secret in [user, odd.password, odd.password.removingPercentEncoding ?? ""] {
            let letters = Array(secret)
            guard letters.count >= 3 else { continue }
            for start in 0...(letters.count - 3) {
                let piece = String(letters[start..<(start + 3)])
                // Times and the ids of runs hold such pieces of their own.
                let isCommon = piece.allSatisfy { $0.isHexDigit || $0 == ":" || $0 == "-" }
                if !piece.hasPrefix("%"), !isCommon { pieces.insert(piece) }
            }
        }
        return pieces
    }

    private func check(
        _ finished: Finished, _ odd: Odd, _ what: String,
        _ place: SourceLocation = #_sourceLocation
    ) {
        let said = finished.stdout + finished.stderr
        for piece in Self.pieces(odd) {
            #expect(!said.contains(piece), "\(piece) in \(what): \(said)", sourceLocation: place)
        }
    }

    /// Every executable in every form, with these settings.
    private func all(
        _ settings: [String: String], _ odd: Odd, _ names: [[String]]
    ) async throws -> [Finished] {
        var ends: [Finished] = []
        for words in names {
            for form in [[], ["--output", "json", "--log-format", "json", "--verbose"]] {
                let finished = try await Executable.run(
                    words[0], arguments: Array(words.dropFirst()) + form, environment: settings)
                check(finished, odd, words.joined(separator: " ") + " \(form)")
                ends.append(finished)
            }
        }
        return ends
    }

    @Test(arguments: passwords)
    func `a database address is never said, and what is odd in it is named`(
        _ odd: Odd
    ) async throws {
        // Nobody listens there.
        let url = "postgres://\(Self.user):\(odd.password)@127.0.0.1:1/app"
        var names = [
            ["stuck-sweeper"], ["holdfast", "doctor"], ["callback-receiver", "--provider", "kie"],
        ]
        if odd.password == Self.passwords[0].password {
            names += [["storage-mirrorer"], ["ledger-reconciler"], ["holdfast", "status"]]
        }
        for end in try await all(["HOLDFAST_DATABASE_URL": url], odd, names) {
            let said = end.stdout + end.stderr
            if let fix = odd.fix {
                #expect(end.status == 78, "\(said)")
                #expect(said.contains(fix) && said.contains("HOLDFAST_DATABASE_URL"), "\(said)")
            } else {
                #expect([75, 78].contains(end.status), "\(said)")
                #expect(said.contains("127.0.0.1:1/app"), "\(said)")
            }
        }
    }

    @Test(arguments: [
        ("HOLDFAST_KIE_BASE_URL", "https", "127.0.0.1:1/v1"),
        ("HOLDFAST_RETRIGGER_URL", "https", "127.0.0.1:1/start"),
        ("HOLDFAST_STORAGE_URL", "s3", "bucket/prefix?endpoint=https://127.0.0.1:1"),
        ("HOLDFAST_STORAGE_URL", "supabase", "bucket/prefix?endpoint=https://127.0.0.1:1"),
        ("HOLDFAST_PUBLIC_BASE_URL", "https", "cdn.example.com/files"),
        ("HOLDFAST_NOTIFY_URL", "https", "127.0.0.1:1/hook"),
        ("HOLDFAST_REPORT_URL", "s3", "bucket/prefix?endpoint=https://127.0.0.1:1"),
    ])
    func `no other address is said either`(
        _ variable: String, _ scheme: String, _ rest: String
    ) async throws {
        let line = try RescueLine()
        try line.open("job-1", taskID: "task-1")
        try line.callBack(#"{"data":{"taskId":"task-1"}}"#)
        for odd in [Self.passwords[0], Self.passwords[4], Self.passwords[16]] {
            var settings = line.environment()
            settings["HOLDFAST_S3_ACCESS_KEY_ID"] = "id"
            settings["HOLDFAST_S3_SECRET_ACCESS_KEY"] = "some-secret"
            settings["HOLDFAST_SUPABASE_SERVICE_KEY"] = "some-other-secret"
            settings[variable] = "\(scheme)://\(Self.user):\(odd.password)@\(rest)"
            let names = [
                [variable == "HOLDFAST_STORAGE_URL" ? "storage-mirrorer" : "stuck-sweeper"],
                ["holdfast", "doctor"],
            ]
            let ends = try await all(settings, odd, names)
            guard let fix = odd.fix, let doctor = ends.last else { continue }
            if variable != "HOLDFAST_NOTIFY_URL" && variable != "HOLDFAST_REPORT_URL" {
                #expect(doctor.stdout.contains(fix), "\(doctor.stdout)")
                #expect(doctor.stdout.contains(variable), "\(doctor.stdout)")
            }
        }
    }
}
