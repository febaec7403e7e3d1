extension World {
    /// The tasks of a family as a list shows them, newest first.
    ///
    /// - Parameter endpoint: As the task's order named it.
    func listed(_ provider: Provider, _ endpoint: String) -> [Poll] {
        let tasks = read { state in
            (state.order["\(provider):\(endpoint)"] ?? []).reversed().compactMap { state.tasks[$0] }
        }
        // Sorting keeps the order of tasks of the same moment.
        return tasks.sorted { $0.createdAt > $1.createdAt }.map { glance($0) }
    }

    /// How many lines a page has that was asked for with `size`.
    func pageSize(_ size: Int) -> Int { min(size, read { $0.pageLimit } ?? size) }

    /// The tasks of the last seven days, where older ones are not listed.
    func lastWeek(_ polls: [Poll]) -> [Poll] {
        let edge = Clock.milliseconds() - 604_800_000
        return polls.filter { $0.task.createdAt >= edge }
    }
}

extension [Poll] {
    func page(from start: Int, size: Int) -> (polls: [Poll], hasMore: Bool) {
        (Array(dropFirst(start).prefix(size)), count > start + size)
    }

    /// What comes after the task of that id; all of it without one, nil when it is not in the list.
    func after(_ id: String?) -> [Poll]? {
        guard let id else { return self }
        guard let place = firstIndex(where: { $0.task.id == id }) else { return nil }
        return Array(self[(place + 1)...])
    }
}
