import Core
package import Postgres

/// What the database's catalogue says of the tables that a mapping names.
package struct Catalog: Sendable {
    package struct Column: Equatable, Sendable {
        package var name: String
        /// As `format_type` writes it: `character varying(20)`.
        package var type: String
        /// One letter of `pg_type.typcategory`: `S` text, `N` number, `D` time, `E` enum, `A` array.
        package var category: String
        package var isNotNull: Bool
        /// It is filled where a row names no value: a default, an identity, a generated column.
        package var hasDefault: Bool
        /// The words of an enum, or those that a CHECK of this column allows; nil where it allows any.
        package var words: [String]?

        package var isFloatingPoint: Bool { type == "double precision" || type == "real" }
        package var isJSON: Bool { type == "jsonb" || type == "json" }
        /// `varchar(20)` holds 20 characters; nil where there is no limit.
        package var characterLimit: Int? {
            guard let open = type.lastIndex(of: "("), category == "S" else { return nil }
            return Int(type[type.index(after: open)...].prefix { $0 != ")" })
        }
    }

    package struct Table: Sendable {
        package var name: TableName
        /// One letter of `pg_class.relkind`: `r`, `p` (partitioned), `v` (view), `m`, `f` (foreign).
        package var kind: String
        /// An estimate; nil where nothing was ever counted.
        package var rows: Int64?
        package var mayRead: Bool
        /// Row-level security would show this login a part of it.
        package var isFiltered: Bool
        package var columns: [Column]
        /// The columns of each unique index without a condition.
        package var uniqueKeys: [[String]]
        package var indexes: [String]

        package func column(_ name: String) -> Column? { columns.first { $0.name == name } }
    }

    package var tables: [TableName: Table]

    package subscript(name: TableName) -> Table? { tables[name] }

    /// Reads what is known of these tables; one that does not exist is left out.
    package init(_ connection: borrowing Connection, _ names: Set<TableName>) throws {
        tables = [:]
        let sorted = names.sorted { $0.description < $1.description }
        let rows = try connection.query(
            """
            SELECT n.nspname AS schema, c.relname AS table_name, c.relkind::text AS kind,
                CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint END AS rows,
                has_table_privilege(c.oid, 'SELECT') AS may_read,
                row_security_active(c.oid) AS is_filtered, a.attname AS column_name,
                format_type(a.atttypid, a.atttypmod) AS type, y.typcategory::text AS category,
                a.attnotnull AS is_not_null,
                a.atthasdef OR a.attidentity <> '' AS has_default,
                (SELECT array_agg(e.enumlabel ORDER BY e.enumsortorder)
                    FROM pg_enum e WHERE e.enumtypid = a.atttypid) AS labels,
                (SELECT string_agg(pg_get_constraintdef(k.oid), ' AND ')
                    FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'c'
                        AND k.conkey = ARRAY[a.attnum]) AS checks
            FROM unnest(\(sorted.map(\.schema))::text[], \(sorted.map(\.table))::text[])
                AS w (schema, name)
            JOIN pg_namespace n ON n.nspname = w.schema
            JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
                AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            JOIN pg_type y ON y.oid = a.atttypid
            ORDER BY 1, 2, a.attnum
            """)
        for row in rows {
            let name = TableName(schema: try row.text("schema"), table: try row.text("table_name"))
            let column = try Column(row)
            if tables[name] != nil {
                tables[name]?.columns.append(column)
                continue
            }
            tables[name] = Table(
                name: name, kind: try row.text("kind"), rows: try row.optionalInt64("rows"),
                mayRead: try row.bool("may_read"), isFiltered: try row.bool("is_filtered"),
                columns: [column], uniqueKeys: [], indexes: [])
        }
        try readIndexes(connection, sorted)
    }

    private mutating func readIndexes(
        _ connection: borrowing Connection, _ names: [TableName]
    ) throws {
        for row in try connection.query(
            """
            SELECT n.nspname AS schema, c.relname AS table_name, x.relname AS index_name,
                i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL AS is_key,
                ARRAY(SELECT a.attname::text FROM unnest(i.indkey::smallint[]) WITH ORDINALITY k (n, p)
                    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.n
                    WHERE k.p <= i.indnkeyatts ORDER BY k.p) AS columns
            FROM unnest(\(names.map(\.schema))::text[], \(names.map(\.table))::text[])
                AS w (schema, name)
            JOIN pg_namespace n ON n.nspname = w.schema
            JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
            JOIN pg_index i ON i.indrelid = c.oid AND i.indisvalid
            JOIN pg_class x ON x.oid = i.indexrelid
            ORDER BY 1, 2, 3
            """)
        {
            let name = TableName(schema: try row.text("schema"), table: try row.text("table_name"))
            tables[name]?.indexes.append(try row.text("index_name"))
            if try row.bool("is_key") {
                tables[name]?.uniqueKeys.append(try row.texts("columns"))
            }
        }
    }
}

extension Catalog.Column {
    init(_ row: Row) throws {
        name = try row.text("column_name")
        type = try row.text("type")
        category = try row.text("category")
        isNotNull = try row.bool("is_not_null")
        hasDefault = try row.bool("has_default")
        words =
            try row.optionalTexts("labels")
            ?? (try row.optionalText("checks")).flatMap(Self.words(inCheck:))
    }

    /// The words of `CHECK ((status = ANY (ARRAY['a'::text, 'b'::text])))`; nil where it is no list.
    static func words(inCheck definition: String) -> [String]? {
        guard definition.contains("ANY (") || definition.contains(" = '") else { return nil }
        var words: [String] = []
        var rest = Substring(definition)
        while let open = rest.firstIndex(of: "'") {
            var word = ""
            var at = rest.index(after: open)
            while at < rest.endIndex {
                let next = rest.index(after: at)
                if rest[at] == "'" {
                    guard next < rest.endIndex, rest[next] == "'" else { break }
                    at = next
                }
                word.append(rest[at])
                at = rest.index(after: at)
            }
            words.append(word)
            rest = at < rest.endIndex ? rest[rest.index(after: at)...] : ""
        }
        return words.isEmpty ? nil : words
    }
}
