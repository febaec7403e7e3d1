import Core
import Postgres
import Schema

extension Checkup {
    /// Whether owners, rights and sequences are as setup leaves them.
    mutating func rightsAndSequences(_ connection: borrowing Connection) throws {
        let disorder = try Rights.disorder(connection)
        if disorder.isEmpty {
            ok("rights", "each role has what it needs, and nobody else has anything")
        } else {
            fail(
                "rights",
                "schema holdfast: " + disorder.joined(separator: "; ")
                    + "; a dump carries no roles, and a restore without them leaves this behind",
                "run holdfast setup with the login that owns the database")
        }
        let late = try Rights.lateSequences(connection)
        if late.isEmpty {
            ok("sequences", "none is behind its rows")
        } else {
            fail(
                "sequences",
                "\(late.joined(separator: ", ")): the next number is taken already, so that writing "
                    + "fails; logical replication leaves sequences behind",
                "run holdfast setup")
        }
    }
}
