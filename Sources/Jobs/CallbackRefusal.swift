import Core

/// Why a callback was refused, in words.
package enum CallbackRefusal {
    /// The reason, as an expression over `holdfast.callback c`.
    static let why = """
        CASE 'wrong' WHEN c.checks ->> 'tag' THEN 'tag wrong'
            WHEN c.checks ->> 'secret' THEN 'secret wrong'
            WHEN c.checks ->> 'signature' THEN 'signature wrong'
            ELSE 'no proof' END
        """

    /// What it most likely means, and which setting has to agree with what.
    package static func meaning(_ reasons: [String], provider: String) -> String {
        if reasons.contains(where: { $0 == "tag wrong" || $0 == "secret wrong" }) {
            return "HOLDFAST_CALLBACK_SECRET differs from the application's"
        }
        if reasons.contains("signature wrong") {
            return "the webhook key of \(provider) on this host differs from the provider's"
        }
        return "they carry no tag, secret or signature, and HOLDFAST_CALLBACK_SECRET is set"
    }
}

/// The latest callbacks of a provider, all of them refused.
package struct RefusedStreak: Equatable, Sendable {
    package var provider: String
    package var callbacks: Int
    package var reasons: [String]
}
