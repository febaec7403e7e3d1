/// Turns places into SQL expressions over a row that is called `t`.
///
/// Every value comes out as text; an empty text is null. Nothing here runs anything.
struct PlaceSQL {
    let catalog: Catalog
    let table: Catalog.Table

    /// What keeps a place from being read: a table or a column that is not there.
    struct Missing: Error {
        var message: String
    }

    /// One value, as text.
    func one(_ place: Place) throws(Missing) -> String {
        guard let when = place.when else { return try one(place.source) }
        return "CASE WHEN (\(when)) THEN \(try one(place.source)) END"
    }

    /// All values, as text[]; never null.
    func all(_ place: Place) throws(Missing) -> String {
        let values = try all(place.source)
        return place.when.map { "CASE WHEN (\($0)) THEN \(values) ELSE '{}'::text[] END" } ?? values
    }

    private func one(_ source: Place.Source) throws(Missing) -> String {
        switch source {
        case .column(let place):
            return place.isSeveral
                ? "(\(try all(place, "t", table)))[1]" : try one(place, "t", table)
        case .constant(let text): return SQLText.literal(text)
        case .rule(let sql): return "nullif((\(sql))::text, '')"
        case .firstOf(let places):
            var each: [String] = []
            for place in places { each.append(try one(place)) }
            return "coalesce(\(each.joined(separator: ", ")))"
        case .allOf: return "(\(try all(source)))[1]"
        case .child(let child, let isEach):
            return isEach ? "(\(try all(source)))[1]" : "(\(try rows(child)) LIMIT 1)"
        case .steps(let steps, _): return "(\(try rows(steps)) LIMIT 1)"
        }
    }

    private func all(_ source: Place.Source) throws(Missing) -> String {
        switch source {
        case .column(let place) where place.isSeveral: return try all(place, "t", table)
        case .firstOf(let places):
            var cases = ""
            for place in places {
                let values = try all(place)
                cases += " WHEN cardinality(\(values)) > 0 THEN \(values)"
            }
            return "CASE\(cases) ELSE '{}'::text[] END"
        case .allOf(let places):
            var each = ["'{}'::text[]"]
            for place in places { each.append(try all(place)) }
            return each.joined(separator: " || ")
        case .child(let child, let isEach):
            let rows = try rows(child) + (isEach ? "" : " LIMIT 1")
            return "array_remove(ARRAY(\(rows)), NULL)"
        case .steps(let steps, _): return "array_remove(ARRAY(\(try rows(steps))), NULL)"
        default: return "array_remove(ARRAY[\(try one(source))], NULL)"
        }
    }

    // MARK: Columns

    private func column(
        _ name: String, _ of: Catalog.Table
    ) throws(Missing) -> Catalog.Column {
        if let column = of.column(name) { return column }
        throw Missing(
            message: "table \(of.name) has no column \"\(name)\"; it has "
                + of.columns.map(\.name).joined(separator: ", "))
    }

    /// `t."metadata"` as jsonb, also where it is JSON in a text.
    private func json(
        _ name: String, _ row: String, _ of: Catalog.Table
    ) throws(Missing) -> String {
        let column = try column(name, of)
        let value = "\(row).\(SQLText.name(name))"
        if column.type == "jsonb" { return value }
        if column.type == "json" { return "\(value)::jsonb" }
        guard column.category == "S" else {
            throw Missing(
                message: "column \"\(name)\" of \(of.name) is \(column.type), which holds no JSON")
        }
        return "nullif(btrim(\(value)), '')::jsonb"
    }

    private func one(
        _ place: ColumnPlace, _ row: String, _ of: Catalog.Table
    ) throws(Missing) -> String {
        guard !place.path.isEmpty else {
            _ = try column(place.column, of)
            return "nullif(\(row).\(SQLText.name(place.column))::text, '')"
        }
        let json = try json(place.column, row, of)
        return "nullif(\(json) #>> \(SQLText.array(place.path)), '')"
    }

    private func all(
        _ place: ColumnPlace, _ row: String, _ of: Catalog.Table
    ) throws(Missing) -> String {
        if place.shape == .array {
            let column = try column(place.column, of)
            guard column.category == "A" else {
                throw Missing(message: "column \"\(place.column)\" is \(column.type), and no array")
            }
            let value = "\(row).\(SQLText.name(place.column))::text[]"
            return "array_remove(array_remove(coalesce(\(value), '{}'), NULL), '')"
        }
        let steps = place.path.map { $0 == "*" ? "[*]" : "." + Self.jsonKey($0) }.joined()
        if place.shape == .jsonArray {
            let column = try column(place.column, of)
            guard column.category == "A" else {
                throw Missing(message: "column \"\(place.column)\" is \(column.type), and no array")
            }
            return elements(
                of: "unnest(\(row).\(SQLText.name(place.column))::jsonb[]) d, "
                    + "jsonb_path_query(d, \(SQLText.literal("lax $" + steps)))")
        }
        // In lax mode an array opens by itself, and so does one value that is no array.
        let last = place.path.contains("*") ? "" : "[*]"
        let json = try json(place.column, row, of)
        return elements(
            of: "jsonb_path_query(\(json), \(SQLText.literal("lax $" + steps + last)))")
    }

    private func elements(of query: String) -> String {
        "ARRAY(SELECT e #>> '{}' FROM \(query) e WHERE (e #>> '{}') <> '')"
    }

    private static func jsonKey(_ key: String) -> String {
        var text = "\""
        for character in key {
            if character == "\"" || character == "\\" { text += "\\" }
            text.append(character)
        }
        return text + "\""
    }

    // MARK: Other tables

    private func other(_ name: TableName) throws(Missing) -> Catalog.Table {
        guard let found = catalog[name] else {
            throw Missing(message: "there is no table \(name), or this login may not see it")
        }
        guard found.mayRead else {
            throw Missing(message: "this login may not read table \(name)")
        }
        return found
    }

    /// `c."to" = t."from"`, with a cast where the types differ.
    private func joined(
        _ left: (row: String, column: String, of: Catalog.Table),
        _ right: (row: String, column: String, of: Catalog.Table)
    ) throws(Missing) -> String {
        let types = [
            try column(left.column, left.of).type, try column(right.column, right.of).type,
        ]
        let cast = types[0] == types[1] ? "" : "::text"
        return "\(left.row).\(SQLText.name(left.column))\(cast) = "
            + "\(right.row).\(SQLText.name(right.column))\(cast)"
    }

    private func rows(_ child: ChildPlace) throws(Missing) -> String {
        let there = try other(child.table)
        let place = ColumnPlace(column: child.column, path: child.path)
        let value =
            place.isSeveral ? "unnest(\(try all(place, "c", there)))" : try one(place, "c", there)
        let condition = try joined(("c", child.to, there), ("t", child.from, table))
        return "SELECT \(value) FROM \(child.table.quoted) AS c WHERE \(condition)"
            + (child.filter.map { " AND (\($0))" } ?? "")
            + (child.order.map { " ORDER BY \($0)" } ?? "")
    }

    private func rows(_ steps: [Step]) throws(Missing) -> String {
        var from = ""
        var condition = ""
        var before: (row: String, of: Catalog.Table) = ("t", table)
        for (index, step) in steps.enumerated() {
            let there = try other(step.table)
            let row = "s\(index + 1)"
            let link = try joined((row, step.to, there), (before.row, step.from, before.of))
            if index == 0 {
                from = "\(step.table.quoted) AS \(row)"
                condition = link
            } else {
                from += " JOIN \(step.table.quoted) AS \(row) ON \(link)"
            }
            before = (row, there)
        }
        guard let last = steps.last, let name = last.column else {
            throw Missing(message: "the last step names no column")
        }
        let place = ColumnPlace(column: name, path: last.path)
        let value =
            place.isSeveral
            ? "unnest(\(try all(place, before.row, before.of)))"
            : try one(place, before.row, before.of)
        return "SELECT \(value) FROM \(from) WHERE \(condition)"
            + (last.filter.map { " AND (\($0))" } ?? "")
            + (last.order.map { " ORDER BY \($0)" } ?? "")
    }
}
