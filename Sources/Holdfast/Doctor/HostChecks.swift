import Assembly
import Core
import Glibc
import HTTP
import Providers
import Reception
import Recovery
import Reports
import Runner
import Storage

extension Checkup {
    /// Below both of them the disk of the store is short of room.
    private static let roomBytes: Int64 = 1 << 30
    private static let roomPercent = 5.0

    /// Looks at each provider's settings; nil when one is malformed.
    mutating func providers(_ settings: Settings) -> ProviderRegistry? {
        var registry: ProviderRegistry?
        look("providers") { registry = try Self.providers(settings, &$0) }
        return registry
    }

    private static func providers(
        _ settings: Settings, _ checks: inout Checkup
    ) throws -> ProviderRegistry {
        let registry = try ProviderRegistry(settings)
        var off: [String] = []
        for name in ProviderRegistry.names {
            guard let provider = registry.provider(name) else { continue }
            let what = "provider \(name)"
            let missing = registry.missingVariables(name)
            let given = type(of: provider).credentialVariables.count - missing.count
            if missing.isEmpty {
                checks.ok(what, "configured, at \(provider.settings.baseURL)")
            } else if given > 0 {
                checks.warn(
                    what, "off, although a part of its credentials is set",
                    "set " + missing.joined(separator: " and "))
            } else {
                off.append("\(name) (\(missing.joined(separator: ", ")))")
            }
        }
        if !off.isEmpty {
            checks.ok("providers off", off.joined(separator: ", "))
        }
        if !ProviderRegistry.names.contains(where: registry.isConfigured) {
            checks.warn("providers", "all are off", "set the credentials of one")
        }
        return registry
    }

    /// Checks of settings that no other check comes across.
    mutating func settings(_ settings: Settings) {
        look("egress allow list") { checks in
            let ranges = try CIDR.list(settings.egressAllow().joined(separator: ","))
            checks.ok(
                "egress allow list",
                ranges.isEmpty
                    ? "empty: downloads reach public addresses only"
                    : ranges.map(\.description).joined(separator: ", "))
        }
        look("retrigger") { checks in
            let trigger = try ApplicationTrigger { try settings.value($0) }
            if let trigger {
                let address = trigger.url.prefix { $0 != "?" }
                checks.ok("retrigger", "\(address), secret in \(trigger.header)")
            } else if try settings.value("HOLDFAST_RETRIGGER_SECRET") != nil {
                checks.warn(
                    "retrigger",
                    "HOLDFAST_RETRIGGER_SECRET is set and HOLDFAST_RETRIGGER_URL is not",
                    "set both or neither")
            } else {
                checks.ok(
                    "retrigger",
                    "off: jobs that never reached a provider are failed without another try")
            }
        }
        look("webhook keys") { checks in
            let registry = try ProviderRegistry(settings)
            let proof = try CallbackProof(secret: nil, registry) { try settings.value($0) }
            let signed = ProviderRegistry.names.filter { proof.signer($0) != nil }
            checks.ok(
                "webhook keys",
                signed.isEmpty
                    ? "none: no provider's signature is checked"
                    : "signatures of \(signed.joined(separator: ", ")) are checked")
        }
        look("callback secret") { checks in
            if try settings.value("HOLDFAST_CALLBACK_SECRET") == nil {
                checks.warn(
                    "callback secret", "callbacks are believed without a check",
                    "set HOLDFAST_CALLBACK_SECRET, here and where callback addresses are made")
            } else {
                checks.ok("callback secret", "set")
            }
        }
    }

    /// The receiver's folder, and what of it nobody has brought into the inbox.
    mutating func spool(_ settings: Settings) {
        look("spool folder") { checks in
            guard let spool = try Spool(settings) else {
                return checks.ok(
                    "spool folder",
                    "off: callbacks that arrive while the database is away are lost to this host")
            }
            try spool.check()
            let listing = try spool.list()
            checks.ok(
                "spool folder",
                "\(spool.folder): a file was written and removed; \(listing.names.count) wait")
            if !listing.aside.isEmpty {
                checks.warn(
                    "spooled callbacks",
                    "\(listing.aside.count) in \(spool.folder) could not be read and end in .aside",
                    "look at them, and remove them when they are of no use")
            }
        }
    }

    mutating func storage(_ settings: Settings) {
        look("storage") { checks in
            let url = try settings.require(
                "HOLDFAST_STORAGE_URL",
                fix: "set it to file:///var/lib/holdfast/assets or the like")
            let location = try StorageLocation.parse(url)
            let store = try location.store(clock: MachineClock.now) { name throws(Failure) in
                try settings.value(name)
            }
            try store.check(Session(), isThorough: true)
            checks.ok("storage", "\(location.words): a file was stored and removed")
            switch location {
            case .folder(let path): checks.room(path)
            case .s3(let bucket):
                checks.look(Self.takenKeys) { checks in
                    guard let found = try store.tryTakenKey(Session()) else { return }
                    checks.takenKeys(found, bucket)
                }
            case .supabase: break
            }
        }
        look("public base URL") { checks in
            guard let base = try settings.value("HOLDFAST_PUBLIC_BASE_URL") else {
                return checks.ok(
                    "public base URL", "not set: permanent URLs are the store's own addresses")
            }
            guard SafeURL.parse(base) != nil else {
                return checks.fail(
                    "public base URL", "HOLDFAST_PUBLIC_BASE_URL is no http or https address",
                    "set it to https://cdn.example.com/assets or the like")
            }
            checks.ok("public base URL", "\(base.prefix { $0 != "?" })")
        }
    }

    private static let takenKeys = "storage, taken keys"

    /// What was found of a server, beside what runs go by.
    private mutating func takenKeys(_ found: TakenKey, _ bucket: S3Location) {
        let words =
            switch found {
            case .isRefused: "the server refuses them"
            case .isOverwritten: "the server overwrites them"
            case .isOverwrittenInParts: "the server overwrites them with files in parts"
            case .conditionIsRefused(let answer):
                "the server does not take If-None-Match, it answers \(answer)"
            }
        switch (bucket.isCreateOnly, found == .isRefused) {
        case (true, true): ok(Self.takenKeys, words)
        case (true, false):
            fail(
                Self.takenKeys, words + ", and Holdfast relies on it to refuse them",
                "put &conditional=no into HOLDFAST_STORAGE_URL")
        case (false, true) where bucket.conditional == nil:
            warn(
                Self.takenKeys, words + ", and Holdfast does not rely on it",
                "add &conditional=yes to HOLDFAST_STORAGE_URL")
        case (false, _):
            ok(
                Self.takenKeys,
                words + "; Holdfast looks first, and its lease keeps its other runs away")
        }
    }

    private mutating func room(_ path: String) {
        var state = statvfs()
        guard statvfs(path, &state) == 0, state.f_blocks > 0 else {
            return warn("storage room", "the disk of \(path) does not say how full it is")
        }
        let (bytes, overflow) = UInt64(state.f_bavail)
            .multipliedReportingOverflow(by: UInt64(state.f_frsize))
        let free = overflow ? Int64.max : Int64(clamping: bytes)
        let percent = Double(state.f_bavail) * 100 / Double(state.f_blocks)
        let words = "\(Plain.bytes(free)) free (\(Int(percent)) %)"
        if free < Self.roomBytes || percent < Self.roomPercent {
            warn("storage room", words, "free space under \(path) or give it a larger disk")
        } else {
            ok("storage room", words)
        }
    }
}
