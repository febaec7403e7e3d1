package import Core
import HTTP
import Logging
package import Postgres
package import Providers
package import Reception
package import Recovery
import Reports
package import Runner
package import Storage

extension Wiring {
    /// The world of a run, as the settings describe it.
    package init(_ context: RunContext, _ run: Run) throws {
        let settings = context.settings
        let log = context.log
        let providers = try ProviderRegistry(settings)
        let secret = try settings.value("HOLDFAST_CALLBACK_SECRET")
        try self.init(
            run: run, providers: providers,
            trigger: run.off.contains("retrigger")
                ? nil : ApplicationTrigger { try settings.value($0) },
            proof: CallbackProof(secret: secret, providers) { try settings.value($0) },
            spool: Spool(settings),
            wallClock: MachineClock.now, shouldStop: { StopSignal.isRaised },
            tell: { log.debug("\($0)") })
        version = Version.current
        renewed = { provider in
            // Variables do not change while a run goes on; the files that they name do.
            guard let fresh = try? ProviderRegistry(settings).provider(provider.name),
                fresh.isConfigured, fresh.settings.credentials != provider.settings.credentials
            else { return nil }
            return fresh
        }
        rewinds = RewindWatch(context, run)
        progress = { news in
            if case .ended(let file) = news { log.debug("\(ProgressText.line(file))") }
        }
    }

    /// Shows on a terminal how files come along: a line for each that ends, and one for all of them
    /// that changes; nothing where nobody watches.
    package mutating func showProgress(_ context: RunContext, _ reporting: ReportingOptions) {
        guard Output.isErrorTerminal, !reporting.quiet else { return }
        let (log, isVerbose) = (context.log, reporting.verbose)
        let hasBar = Output.canShowPassing
        progress = { news in
            switch news {
            case .ended(let file) where isVerbose: log.debug("\(ProgressText.line(file))")
            case .ended(let file): Output.error(ProgressText.line(file))
            case .total(let totals) where hasBar:
                // The last column stays free: writing there makes some terminals begin a new line.
                Output.passing(ProgressText.bar(totals, columns: Output.columns - 1))
            case .total: break
            }
        }
    }
}

extension Spool {
    /// The folder that the settings name; nil when they name none.
    package init?(_ settings: Settings) throws {
        guard let folder = try settings.value(Spool.variable) else { return nil }
        self.init(folder: folder)
    }
}

extension ProviderRegistry {
    /// Every provider as the settings describe it.
    package init(_ settings: Settings) throws {
        // A closure that throws is not what the registry takes: the first failure is kept.
        var failure: Failure?
        let registry = try ProviderRegistry { name in
            do throws(Failure) {
                return try settings.value(name)
            } catch {
                if failure == nil { failure = error }
                return nil
            }
        }
        if let failure { throw failure }
        self = registry
    }
}

extension MirrorTarget {
    /// Where files go, as the settings say; the store is proved to take files before any is claimed.
    package init(_ settings: Settings, isDryRun: Bool = false) throws {
        let location = try StorageLocation.parse(
            settings.require(
                "HOLDFAST_STORAGE_URL", fix: "set it to file:///var/lib/holdfast/assets or the like"
            ))
        let store = try location.store(clock: MachineClock.now) { name throws(Failure) in
            try settings.value(name)
        }
        if !isDryRun { try store.check(Session(), isThorough: false) }
        try self.init(
            store: store, publicBaseURL: settings.value("HOLDFAST_PUBLIC_BASE_URL"),
            egressAllow: CIDR.list(settings.egressAllow().joined(separator: ",")),
            quarantine: Self.quarantine(settings, beside: location)?.store)
    }
}

extension MirrorTarget {
    /// Where what is refused goes, and its store; nil where the settings name none.
    package static func quarantine(
        _ settings: Settings, beside files: StorageLocation
    ) throws -> (place: StorageLocation, store: any QuarantineStore)? {
        guard let url = try settings.value(StorageLocation.quarantineVariable) else { return nil }
        let place = try StorageLocation.quarantine(url, beside: files)
        let store = try place.quarantineStore(clock: MachineClock.now) { name throws(Failure) in
            try settings.value(name)
        }
        return (place, store)
    }
}

extension Selection {
    /// What the flags of a minutely job select.
    package init(_ minutely: MinutelyOptions, _ common: CommonOptions) {
        self.init(
            limit: minutely.limit, jobIDs: minutely.jobs, providers: minutely.providers,
            concurrency: minutely.concurrency, timeBudget: common.timeBudget)
    }
}

extension Connection {
    /// The database that the settings name.
    package init(
        _ context: RunContext, connectTimeout: Duration = .seconds(5)
    ) throws {
        try self.init(
            url: context.settings.databaseURL(), connectTimeout: connectTimeout,
            applicationName: context.command)
    }
}
