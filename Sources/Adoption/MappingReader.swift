import Core

extension Mapping {
    /// The largest file that is read.
    package static let byteLimit = 1 << 20

    /// Keys that people write for people; no program reads them.
    private static let readers: Set<String> = [
        "nn", "name", "set", "source", "stack", "life", "own_recovery", "holdfast_could",
        "would_break", "traps", "fixture", "note",
    ]

    /// What reading a file came to.
    package struct Reading: Sendable {
        /// Nil where something is missing that everything else needs.
        package var mapping: Mapping?
        package var problems: [MappingProblem]
    }

    /// Reads a mapping; everything that is wrong with the file is found at once.
    ///
    /// - Throws: `Failure` (78, `mapping`) where the text is no JSON or is larger than `byteLimit`.
    package static func read(_ bytes: [UInt8]) throws -> Reading {
        guard bytes.count <= byteLimit else {
            throw Failure(
                .configuration, code: "mapping",
                "the mapping has \(bytes.count) bytes, more than \(byteLimit); it is one JSON object"
            )
        }
        let value: JSONValue
        do {
            value = try JSON.parse(bytes)
        } catch {
            throw Failure(.configuration, code: "mapping", "the mapping is no JSON: \(error)")
        }
        let problems = MappingProblems(lines: JSONLines.of(bytes))
        let mapping = MappingFields.of(value, "", problems).flatMap { read($0) }
        return Reading(mapping: mapping, problems: problems.sorted)
    }

    private static func read(_ fields: MappingFields) -> Mapping? {
        if let format = fields.integer("format") {
            if format != 1 {
                fields.problems.add(
                    "format", "this program reads format 1, and the file has \(format)")
            }
        } else if !fields.has("format") {
            fields.missing("format")
        }
        let verdict = fields.word("verdict", Verdict.self)
        let reason = fields.optionalText("reason")
        if let verdict, verdict != .adopt, reason == nil {
            fields.problems.add("", "verdict \"\(verdict.rawValue)\" needs a \"reason\"")
        }
        let jobs = fields.objects("jobs").compactMap { JobTable.read($0) }
        if verdict == .refuse ? !jobs.isEmpty : jobs.isEmpty && fields.problems.list.isEmpty {
            fields.problems.add(
                "jobs",
                verdict == .refuse ? "must be empty where the verdict is refuse" : "is empty")
        }
        let notJobs = fields.texts("not_jobs").enumerated().compactMap { index, text in
            MappingFields.table(text, "not_jobs[\(index)]", fields.problems)
        }
        let credits = fields.object("credits").flatMap { CreditsMapping.read($0) }
        if !fields.has("credits") { fields.missing("credits") }
        let grade = fields.word("grade", Grade.self)
        _ = fields.optionalText("grade_why")
        let searchPath = fields.texts("search_path")
        if searchPath.isEmpty { fields.missing("search_path") }
        let claims = fields.object("claims")?.object
        fields.finish(readers: readers)
        guard let verdict, let grade else { return nil }
        if let credits {
            check(grade, credits, fields.problems)
        }
        return Mapping(
            verdict: verdict, reason: reason, jobs: jobs, notJobs: notJobs, credits: credits,
            grade: grade, searchPath: searchPath, claims: claims)
    }

    private static func check(
        _ grade: Grade, _ credits: CreditsMapping, _ problems: MappingProblems
    ) {
        let (follows, because) = Grade.of(credits.settles)
        guard follows != grade else { return }
        let why =
            because.map { handler in
                handler.commits == nil
                    ? "nobody has read how many commits \"\(handler.handler)\" needs"
                    : "\"\(handler.handler)\" leaves \(handler.leaves.rawValue)"
            } ?? "no handler of theirs settles"
        problems.add(
            "grade",
            "is \"\(grade.rawValue)\", and \"\(follows.rawValue)\" follows from settles: \(why)")
    }
}

extension JobTable {
    private static let readers: Set<String> = ["note", "why", "sure"]

    static func read(_ fields: MappingFields) -> JobTable? {
        let table = fields.table("table")
        let id = fields.place("id", isRequired: true, hasType: true)
        let idParts = fields.texts("id_parts")
        if case .rule? = id?.source, idParts.isEmpty {
            fields.problems.add(
                fields.at("id"), "a rule needs \"id_parts\": the columns that find the row again")
        }
        let places = PlaceKey.allCases.compactMap { key -> (key: PlaceKey, place: Place)? in
            let isRequired = PlaceKey.required.contains(key)
            return fields.place(key.rawValue, isRequired: isRequired).map { (key, $0.place) }
        }
        let status = fields.object("status").flatMap { StatusMapping.read($0) }
        if !fields.has("status") { fields.missing("status") }
        let companions = fields.words("companions").compactMap { key, _ in
            MappingFields.word(
                key, fields.at("companions.\(key)"), Meaning.self, fields.problems
            ).map { (meaning: $0, columns: fields.object("companions")?.expressions(key) ?? []) }
        }
        let refunded = fields.object("refunded").flatMap { Mark.read($0) }
        let charged = fields.object("charged").flatMap { Mark.read($0) }
        let settleWhen = fields.sql("settle_when", isRequired: false)
        let reopen = fields.texts("reopen")
        let placeholders = fields.expressions("placeholders")
        let onlyTypes = fields.object("only_types").flatMap { only -> (String, [String])? in
            defer { only.finish() }
            return only.text("column").map { ($0, only.texts("words")) }
        }
        let kindWords = fields.words("kind_words").compactMap { word, value in
            MappingFields.word(
                value.text ?? "", fields.at("kind_words.\(word)"), JobKind.self, fields.problems
            ).map { (word: word, kind: $0) }
        }
        let timeUnit = fields.word("time_unit", TimeUnit.self, isRequired: false)
        let hashes = fields.flag("account_hash") ?? false
        fields.finish(readers: readers)
        guard let table, let id, let status else { return nil }
        return JobTable(
            table: table, id: id.place, idType: id.type ?? "text", idParts: idParts,
            places: places, status: status,
            companions: companions, refunded: refunded, charged: charged, settleWhen: settleWhen,
            reopen: reopen, placeholders: placeholders, onlyTypes: onlyTypes, kindWords: kindWords,
            timeUnit: timeUnit, hashesAccount: hashes)
    }
}

extension Mark {
    static func read(_ fields: MappingFields) -> Mark? {
        defer { fields.finish() }
        guard let column = fields.text("column"), let isSet = fields.sql("is"),
            let set = fields.sql("set")
        else { return nil }
        return Mark(column: column, isSet: isSet, set: set)
    }
}

extension StatusMapping {
    static func read(_ fields: MappingFields) -> StatusMapping? {
        let column = fields.optionalText("column")
        let rule = fields.sql("rule", isRequired: false)
        let columns = fields.texts("columns")
        let type = fields.text("type")
        let words = fields.meanings("words")
        if !fields.has("words") { fields.missing("words") }
        let write = fields.words("write").compactMap { key, value -> (Meaning, String?)? in
            let path = fields.at("write.\(key)")
            guard let meaning = MappingFields.word(key, path, Meaning.self, fields.problems) else {
                return nil
            }
            guard value.text != nil || value.isNull else {
                fields.problems.add(
                    path, "a word or null is expected, and \(value.kindName) was found")
                return nil
            }
            return (meaning, value.text)
        }
        defer { fields.finish() }
        let source: Source
        switch (column, rule) {
        case (let column?, nil): source = .column(column)
        case (nil, let rule?): source = .rule(rule, columns: columns)
        case (nil, nil), (_?, _?):
            fields.problems.add(fields.path, "one of \"column\" and \"rule\" is needed")
            return nil
        }
        guard let type else { return nil }
        let status = StatusMapping(source: source, type: type, words: words, write: write)
        status.check(fields)
        return status
    }

    /// A word that is written has to read as what was meant.
    private func check(_ fields: MappingFields) {
        for (meaning, word) in write {
            let path = fields.at("write.\(meaning.rawValue)")
            guard let word else {
                if case .column = source {
                    fields.problems.add(path, "null is for a status that is a rule")
                }
                continue
            }
            guard let reads = self.meaning(of: word) else {
                fields.problems.add(path, "\"\(word)\" is none of the words")
                continue
            }
            if !reads.mayStandFor(meaning) {
                fields.problems.add(
                    path, "\"\(word)\" reads as \(reads.rawValue), which is not \(meaning.rawValue)"
                )
            }
        }
    }
}

extension MappingFields {
    /// `{their word: our meaning}`.
    func meanings(_ key: String) -> [(word: String, meaning: Meaning)] {
        words(key).compactMap { word, value in
            Self.word(value.text ?? "", at("\(key).\(word)"), Meaning.self, problems)
                .map { (word: word, meaning: $0) }
        }
    }
}
