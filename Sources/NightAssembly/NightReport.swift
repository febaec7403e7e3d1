package import Core
package import Delivery
import HTTP
import Logging
package import Ledger
package import Runner
package import Statements
import Storage

/// A sealed day's report: written, put where it belongs, and told to those who wait for it.
package struct NightReport {
    /// What became of one file.
    package struct Stored: Equatable, Sendable {
        package var name: String
        package var bytes: Int
        package var sha256: String
        package var outcome: ReportShelf.Outcome
    }

    /// What the day adds up to.
    package var audit: NightAudit
    package var summary: NightSummary
    /// Empty where no place is named.
    package var files: [Stored]
    /// For people: where the files are.
    package var place: String?
    /// What went wrong with the files, each with its exit status; nothing about telling is here.
    package var problems: [(problem: RunReport.Problem, status: ExitStatus)]
    /// What went wrong with telling: never a reason for another exit status.
    package var warnings: [String]

    /// Adds what went wrong to a run's report.
    package func add(to report: inout RunReport) {
        for (problem, status) in problems { report.add(problem, status: status) }
    }

    /// Writes a day's report and tells of it.
    ///
    /// The pages are read once. A day that is published again changes nothing where the same files
    /// are.
    /// - Parameters:
    ///   - context: The run, with its settings and its log, where warnings go.
    ///   - pages: The day; it must be sealed.
    ///   - published: SHA-256, in hex, by name, of the files of this day that were published before.
    ///   - tells: Whether the summary is sent; a person who makes the files again wants none.
    /// - Throws: What the pages throw, a configuration failure (78) of the settings, and
    ///   `report_draft` (69). That a store is away, or keeps another file, is in `problems`.
    package static func publish(
        _ context: RunContext, _ pages: NightPages, published: [String: String] = [:],
        tells: Bool = true
    ) throws -> NightReport {
        let settings = try ReportSettings(context.settings)
        let folder = ReportDraft.folder(Settings.processEnvironment)
        let isWritten = settings.shelfURL != nil || (tells && settings.mailsTo != nil)
        var drafts: [ReportDraft] = []
        let audit = try NightStatements.write(
            pages, style: settings.style, files: isWritten ? Set(ReportFile.allCases) : []
        ) { file in
            let draft = try ReportDraft(file, folder: folder)
            drafts.append(draft)
            return { try draft.append($0) }
        }
        let shelved = shelve(drafts, pages.figures.day, published, settings, context)
        var report = NightReport(
            audit: audit, summary: try NightSummary(audit, links: shelved.links),
            files: shelved.files, place: shelved.place, problems: shelved.problems, warnings: [])
        if !audit.problems.isEmpty {
            report.problems.append(
                (
                    .init(
                        code: "books_do_not_add_up",
                        message:
                            "\(pages.figures.day.day): \(audit.problems[0]); keep everything as "
                            + "it is and read runbooks/unsettled-credits.md"), .needsPerson
                ))
        }
        if tells { report.warnings = tell(report.summary, drafts, shelved.links, settings, folder) }
        for warning in report.warnings { context.log.warning("\(warning)") }
        return report
    }

    // MARK: The shelf

    private struct Shelved {
        var files: [Stored] = []
        var links: [ReportLink] = []
        var place: String?
        var problems: [(problem: RunReport.Problem, status: ExitStatus)] = []
    }

    /// Puts the drafts where they belong; the page comes last, so that what it names is there.
    private static func shelve(
        _ drafts: [ReportDraft], _ sealed: BusinessDay, _ published: [String: String],
        _ settings: ReportSettings, _ context: RunContext
    ) -> Shelved {
        let day = sealed.day
        var shelved = Shelved()
        guard let url = settings.shelfURL else { return shelved }
        do throws(Failure) {
            let shelf = try ReportShelf(
                url: url, baseURL: settings.baseURL, clock: MachineClock.now
            ) { name throws(Failure) in try context.settings.value(name) }
            shelved.place = shelf.words
            for draft in drafts {
                let name = draft.file.name(day: day)
                let outcome = try shelf.put(
                    draft, day: day, runID: context.runID, published: published[name])
                shelved.files.append(
                    Stored(
                        name: name, bytes: draft.digest.bytes, sha256: draft.digest.sha256,
                        outcome: outcome))
                shelved.links.append(shelf.link(draft.file, day: day))
                guard outcome == .kept else { continue }
                // Beside it, under a name that tells which close of the day it is of.
                let other = "\(day)-\(sealed.digest.prefix(8))"
                _ = try shelf.put(draft, day: other, runID: context.runID)
                shelved.problems.append(
                    kept(name, beside: draft.file.name(day: other), day, shelf.words))
            }
        } catch {
            shelved.problems.append(
                (.init(code: error.code, message: error.message), error.status))
        }
        return shelved
    }

    /// The code of a problem that is said once a close.
    package static let differs = "report_differs"

    private static func kept(
        _ name: String, beside other: String, _ day: String, _ place: String
    ) -> (RunReport.Problem, ExitStatus) {
        (
            .init(
                code: differs,
                message: "\(name) in \(place) is not what the sealed day \(day) says: the database "
                    + "was restored and the day closed again, or somebody changed the file. It was "
                    + "kept, and what the books say now stands beside it as \(other). Tell those who "
                    + "have used the old one; then move it away and run: "
                    + "holdfast books report --day \(day)"), .needsPerson
        )
    }

    /// The number of what renders reports now.
    package static let renderer = ReportFile.renderer

    /// The files that are on the shelf as the day says, to be remembered.
    package var published: [(name: String, sha256: String)] {
        files.filter { $0.outcome == .stored }.map { ($0.name, $0.sha256) }
    }

    // MARK: Telling

    private static func tell(
        _ summary: NightSummary, _ drafts: [ReportDraft], _ links: [ReportLink],
        _ settings: ReportSettings, _ folder: String
    ) -> [String] {
        var warnings: [String] = []
        if let url = settings.notifyURL, let problem = Webhook.post(summary, to: url) {
            warnings.append(problem)
        }
        if let to = settings.mailsTo {
            let letter = Letter(
                summary, drafts, links, to: to, from: settings.mailsFrom)
            if let problem = MailProgram(path: settings.mailProgram).send(
                letter.message(), folder: folder)
            {
                warnings.append(problem)
            }
        }
        return warnings
    }
}

/// What an installation says about its reports.
struct ReportSettings {
    let shelfURL: String?
    let baseURL: String?
    let style: ReportStyle
    let notifyURL: String?
    let mailsTo: [String]?
    let mailsFrom: String?
    let mailProgram: String?

    init(_ settings: Settings) throws(Failure) {
        shelfURL = try settings.value(ReportShelf.variable)
        baseURL = try settings.value("HOLDFAST_REPORT_BASE_URL")
        style = ReportStyle(
            hasByteOrderMark: try settings.value("HOLDFAST_REPORT_BOM") == "1",
            runbookURL: try Self.page(settings))
        notifyURL = try settings.value(Webhook.variable)
        let name = "HOLDFAST_MAIL_TO"
        if let text = try settings.value(name) {
            mailsTo = try Letter.addresses(text, variable: name)
        } else {
            mailsTo = nil
        }
        let sender = "HOLDFAST_MAIL_FROM"
        if let text = try settings.value(sender) {
            mailsFrom = try Letter.addresses(text, variable: sender).first
        } else {
            mailsFrom = nil
        }
        mailProgram = try settings.value(MailProgram.variable)
    }

    /// An address that a page of ours may link to: nothing that a browser would run.
    private static func page(_ settings: Settings) throws(Failure) -> String? {
        guard let url = try settings.value("HOLDFAST_RUNBOOK_URL") else { return nil }
        guard SafeURL.parse(url) != nil else {
            throw Failure(
                .configuration, code: "variable_invalid",
                "HOLDFAST_RUNBOOK_URL is no http or https address; set it to the page that explains "
                    + "breaks, like https://wiki.example.com/holdfast/breaks")
        }
        return url
    }
}

extension Letter {
    /// Bytes of files that go along; what does not fit is named by its link.
    static let attachedBytes = 5 << 20

    /// The summary with the files that people open, as far as they are small.
    init(
        _ summary: NightSummary, _ drafts: [ReportDraft], _ links: [ReportLink], to: [String],
        from: String?
    ) {
        var room = Self.attachedBytes
        var attachments: [Attachment] = []
        let wanted: [ReportFile] = [.page, .workbook, .breaks, .models, .journal]
        for file in wanted {
            guard let draft = drafts.first(where: { $0.file == file }),
                draft.digest.bytes <= room, let bytes = try? draft.contents()
            else { continue }
            room -= bytes.count
            attachments.append(
                Attachment(
                    name: file.name(day: summary.day), contentType: file.contentType, bytes: bytes))
        }
        let rest = links.filter { $0.file != .page && $0.file != .workbook }
            .map { "\($0.file.name(day: summary.day)): \($0.url)" }
        let body =
            summary.text + "\n" + (rest.isEmpty ? "" : "\n" + rest.joined(separator: "\n") + "\n")
        self.init(
            to: to, from: from, subject: summary.title, body: body, attachments: attachments)
    }
}
