extension Mapping {
    /// Every table that the mapping names, but for those in expressions.
    package var tables: Set<TableName> {
        var names = Set(notJobs)
        for job in jobs {
            names.insert(job.table)
            names.formUnion(job.id.tables)
            for (_, place) in job.places { names.formUnion(place.tables) }
        }
        guard let credits else { return names }
        if let accounts = credits.accounts { names.insert(accounts.table) }
        for (_, call) in credits.functions {
            if let insert = call.insert { names.insert(insert.table) }
        }
        if let tables = credits.tables {
            names.formUnion(tables.pots.map(\.table))
            names.formUnion(tables.mirrors.map(\.table))
            if let movements = tables.movements { names.insert(movements.table) }
            if let lots = tables.lots { names.insert(lots.table) }
        }
        return names
    }
}

extension Place {
    /// The other tables that it reads.
    var tables: Set<TableName> {
        switch source {
        case .column, .constant, .rule: []
        case .firstOf(let places), .allOf(let places):
            places.reduce(into: []) { $0.formUnion($1.tables) }
        case .child(let child, _): [child.table]
        case .steps(let steps, _): Set(steps.map(\.table))
        }
    }
}
