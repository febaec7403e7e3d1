/// The exit statuses that every executable shares; when several apply, the worst is chosen.
package enum ExitStatus: Int32, Sendable {
    case done = 0
    /// Something needs a person.
    case needsPerson = 1
    case wrongUsage = 64
    case notFound = 66
    /// A provider or the object store is unavailable, or a disk is full; work is left.
    case unavailable = 69
    case defect = 70
    /// The database is unavailable or went away; what was committed stays.
    case databaseUnavailable = 75
    case configuration = 78
    case interrupted = 130
    case terminated = 143

    /// When several apply: 70, 78, 75, 69, 1, 0.
    ///
    /// A signal outranks them all.
    private var rank: Int {
        switch self {
        case .done: 0
        case .needsPerson: 1
        case .wrongUsage, .notFound: 2
        case .unavailable: 3
        case .databaseUnavailable: 4
        case .configuration: 5
        case .defect: 6
        case .interrupted, .terminated: 7
        }
    }

    package static func worst(_ left: ExitStatus, _ right: ExitStatus) -> ExitStatus {
        left.rank >= right.rank ? left : right
    }
}
