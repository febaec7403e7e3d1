import Core

/// A place as the file has it: the id's has a type.
struct ReadPlace {
    var place: Place
    var type: String?
    var source: Place.Source { place.source }
}

extension MappingFields {
    func place(_ key: String, isRequired: Bool = false, hasType: Bool = false) -> ReadPlace? {
        guard let fields = object(key) else {
            if isRequired && !has(key) { missing(key) }
            return nil
        }
        return fields.readPlace(hasType: hasType)
    }

    private func readPlace(hasType: Bool = false) -> ReadPlace? {
        let when = sql("when", isRequired: false)
        let type = hasType ? text("type") : nil
        let source = readSource()
        finish(readers: ["why", "sure"])
        return source.map { ReadPlace(place: Place(source: $0, when: when), type: type) }
    }

    private static let sources = [
        "column", "constant", "rule", "first_of", "all_of", "child", "children", "through",
        "joined",
    ]

    private func readSource() -> Place.Source? {
        let given = Self.sources.filter(has)
        guard given.count == 1, let one = given.first else {
            problems.add(
                path,
                (given.isEmpty ? "says not where the value stands" : "says it twice")
                    + "; one of \(Self.sources.joined(separator: ", ")) is needed")
            return nil
        }
        switch one {
        case "column": return columnPlace().map { .column($0) }
        case "constant": return text(one).map { .constant($0) }
        case "rule": return sql(one).map { .rule($0) }
        case "first_of": return .firstOf(objects(one).compactMap { $0.readPlace()?.place })
        case "all_of": return .allOf(objects(one).compactMap { $0.readPlace()?.place })
        case "child": return object(one)?.child().map { .child($0, isEach: false) }
        case "children": return object(one)?.child().map { .child($0, isEach: true) }
        default:
            let steps = objects(one)
            let read = steps.enumerated().compactMap { index, fields in
                fields.step(isLast: index == steps.count - 1, isJoined: one == "joined")
            }
            guard !steps.isEmpty else {
                problems.add(at(one), "has no step")
                return nil
            }
            return read.count == steps.count ? .steps(read, isJoined: one == "joined") : nil
        }
    }

    func columnPlace() -> ColumnPlace? {
        let shape = word("shape", ColumnPlace.Shape.self, isRequired: false) ?? .one
        let path = texts("path")
        return text("column").map { ColumnPlace(column: $0, path: path, shape: shape) }
    }

    private func child() -> ChildPlace? {
        let (table, from, to) = (table("table"), text("from"), text("to"))
        let column = text("column")
        let path = texts("path")
        let (filter, order) = (sql("where", isRequired: false), sql("order", isRequired: false))
        let insert = has("insert") ? expressions("insert") : nil
        let status = object("status").flatMap {
            fields -> (column: String, words: [(word: String, meaning: Meaning)])? in
            defer { fields.finish() }
            return fields.text("column").map { ($0, fields.meanings("words")) }
        }
        finish()
        guard let table, let from, let to, let column else { return nil }
        return ChildPlace(
            table: table, from: from, to: to, column: column, path: path, filter: filter,
            order: order, insert: insert, status: status)
    }

    private func step(isLast: Bool, isJoined: Bool) -> Step? {
        let (table, from, to) = (table("table"), text("from"), text("to"))
        let column = isLast ? text("column") : nil
        let path = isLast ? texts("path") : []
        let filter = isLast && isJoined ? sql("where", isRequired: false) : nil
        let order = isLast && isJoined ? sql("order", isRequired: false) : nil
        finish()
        guard let table, let from, let to, !isLast || column != nil else { return nil }
        return Step(
            table: table, from: from, to: to, column: column, path: path, filter: filter,
            order: order)
    }
}
