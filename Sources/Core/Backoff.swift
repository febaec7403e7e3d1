/// The wait before the next attempt: exponential with full jitter.
///
/// Source: "Exponential Backoff And Jitter", AWS Architecture Blog, the variant "Full Jitter".
package struct Backoff: Sendable {
    package var base: Duration
    package var maximum: Duration

    package init(base: Duration, maximum: Duration) {
        self.base = base
        self.maximum = maximum
    }

    /// A random wait of at most `base` doubled `attempt - 1` times, capped at `maximum`.
    ///
    /// Never below a quarter of `base`, so that a lucky draw cannot hammer a provider that has
    /// just asked to be left alone.
    package func wait(
        attempt: Int, using chance: inout some RandomNumberGenerator
    ) -> Duration {
        let doublings = min(max(attempt, 1) - 1, 30)
        let (doubled, overflow) = base.milliseconds.multipliedReportingOverflow(by: 1 << doublings)
        let ceiling = overflow ? maximum.milliseconds : min(doubled, maximum.milliseconds)
        let floor = min(base.milliseconds / 4, ceiling)
        guard ceiling > 0 else { return .zero }
        return .milliseconds(Int64.random(in: floor...max(ceiling, floor), using: &chance))
    }
}
