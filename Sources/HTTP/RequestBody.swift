/// Bytes of a request that are sent from where they lie, counted against the budget of their pool.
package final class RequestBody {
    /// How many bytes there is room for.
    package let capacity: Int
    /// How many bytes are filled in.
    package private(set) var count = 0
    private let memory: UnsafeMutableRawPointer
    private let pool: BodyPool

    fileprivate init(_ memory: UnsafeMutableRawPointer, capacity: Int, pool: BodyPool) {
        self.memory = memory
        self.capacity = capacity
        self.pool = pool
    }

    deinit { pool.giveBack(memory, capacity) }

    package var room: Int { capacity - count }

    /// Appends what there is room for, and says how many bytes that were.
    package func append(_ bytes: UnsafeRawBufferPointer) -> Int {
        let taken = min(bytes.count, room)
        guard taken > 0, let base = bytes.baseAddress else { return 0 }
        memory.advanced(by: count).copyMemory(from: base, byteCount: taken)
        count += taken
        return taken
    }

    /// What is filled in; valid while this object lives.
    package var bytes: UnsafeRawBufferPointer { .init(start: memory, count: count) }
}

/// The memory that the bodies of a session's uploads may take together.
///
/// Whoever finds no room waits for its turn, first come, first served, so that one large file
/// cannot starve the others.
package final class BodyPool {
    /// Bytes that all bodies together may hold.
    package let budget: Int
    private var held = 0
    private var waiting: [(bytes: Int, wake: () -> Void)] = []
    /// A block that was given back, kept because the next part is usually of the same size.
    private var spare: [(memory: UnsafeMutableRawPointer, capacity: Int)] = []

    package init(budget: Int) { self.budget = budget }

    deinit { for block in spare { block.memory.deallocate() } }

    /// Room for `capacity` bytes; nil when there is none now, or when somebody waits already.
    ///
    /// A body larger than the whole budget is given out when nothing else is held.
    package func take(_ capacity: Int) -> RequestBody? {
        guard waiting.isEmpty, hasRoom(capacity) else { return nil }
        return give(capacity)
    }

    /// Has `wake` called with the body once there is room for it, after those who asked before.
    package func whenRoom(_ capacity: Int, _ wake: @escaping (RequestBody) -> Void) {
        waiting.append((capacity, { [unowned self] in wake(self.give(capacity)) }))
    }

    /// Calls those who wait and for whom there is room now; not to be called by a sink.
    func wakeWaiting() {
        while let first = waiting.first, hasRoom(first.bytes) {
            waiting.removeFirst()
            first.wake()
        }
    }

    private func hasRoom(_ capacity: Int) -> Bool { held == 0 || held + capacity <= budget }

    private func give(_ capacity: Int) -> RequestBody {
        held += capacity
        if let place = spare.firstIndex(where: { $0.capacity == capacity }) {
            return RequestBody(
                spare.remove(at: place).memory, capacity: capacity, pool: self)
        }
        for block in spare { block.memory.deallocate() }
        spare = []
        return RequestBody(
            .allocate(byteCount: max(capacity, 1), alignment: 16), capacity: capacity, pool: self)
    }

    fileprivate func giveBack(_ memory: UnsafeMutableRawPointer, _ capacity: Int) {
        held -= capacity
        spare.append((memory, capacity))
        if held == 0 || spare.count > 4 || held + spare.reduce(0, { $0 + $1.capacity }) > budget {
            spare.removeFirst().memory.deallocate()
        }
    }
}
