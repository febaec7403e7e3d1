/// What a provider calls a task.
package enum TaskID {
    /// The longest id that a task can have, wherever it is read, told or stored.
    ///
    /// The database has the same number, in `holdfast.is_task_id`; longer ones are no ids.
    package static let limitBytes = 500
}
