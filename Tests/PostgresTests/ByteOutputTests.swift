import Postgres
import TestSupport
import Testing

/// Bytes come as they were stored, whichever form the server sends them in.
@Suite struct ByteOutput {
    @Test(arguments: ["hex", "escape"])
    func `every byte and a text of backslashes`(form: String) throws {
        let connection = try TestCluster.shared().connect()
        let stored = [UInt8](0...255) + Array(#"\x41 \\ \101 \"#.utf8)
        try connection.transaction {
            try connection.execute("SET LOCAL bytea_output = '\(raw: form)'")
            for bytes in [stored, Array(#"\x41"#.utf8), Array(#"\\x"#.utf8), []] {
                let row = try connection.query("SELECT \(bytes)::bytea AS bytes").single()
                #expect(try row.bytes("bytes") == bytes)
            }
        }
    }
}
