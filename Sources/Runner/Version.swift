package enum Version {
    /// What `--version` prints and what a run records about itself.
    package static let current = "0.1.0"
}
