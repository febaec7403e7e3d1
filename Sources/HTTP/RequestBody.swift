/// Bytes of a request that are sent from where they lie, counted against the budget of their pool.
package final class RequestBody {
    /// How many bytes there is room for.
    package let capacity: Int
    /// How many bytes are filled in.
    package private(set) var count = 0
    /// Bytes at the start that are not sent, because the server has them of an earlier attempt.
    package var skipped = 0
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

    /// What is sent; valid while this object lives.
    package var bytes: UnsafeRawBufferPointer {
        let start = min(max(skipped, 0), count)
        return .init(start: memory.advanced(by: start), count: count - start)
    }
}

/// What somebody wants memory for.
package struct RoomWish {
    /// Bytes of the body that is wanted.
    package var capacity: Int
    /// Bytes that the asker holds and cannot give back before it gets this body.
    package var holding: Int
    /// Bytes to leave free beside it, for one of those who hold something and must go on.
    package var spare: Int

    package init(_ capacity: Int, holding: Int = 0, spare: Int = 0) {
        self.capacity = capacity
        self.holding = holding
        self.spare = spare
    }

    fileprivate var goesOn: Bool { holding > 0 }
}

/// The memory that the bodies of a session's uploads may take together.
///
/// Whoever finds no room waits. Those who hold something come first, because they give nothing back
/// before they can go on; among themselves, and among those who begin, first come is first served,
/// so that one large file cannot starve the others.
package final class BodyPool {
    /// Bytes that all bodies together may hold.
    package let budget: Int
    private var held = 0
    private var waiting: [(wish: RoomWish, wake: (RequestBody) -> Void)] = []
    /// A block that was given back, kept because the next part is usually of the same size.
    private var spare: [(memory: UnsafeMutableRawPointer, capacity: Int)] = []

    package init(budget: Int) { self.budget = budget }

    deinit { for block in spare { block.memory.deallocate() } }

    /// A body; nil when there is no room now, or when somebody waits whose turn comes before.
    ///
    /// A body larger than the budget allows is given out when nobody else holds anything.
    package func take(_ wish: RoomWish) -> RequestBody? {
        let isFirst = waiting.allSatisfy { wish.goesOn && !$0.wish.goesOn }
        guard isFirst, hasRoom(wish) else { return nil }
        return give(wish.capacity)
    }

    /// Has `wake` called with the body once there is room for it.
    package func whenRoom(_ wish: RoomWish, _ wake: @escaping (RequestBody) -> Void) {
        let place = wish.goesOn ? waiting.firstIndex { !$0.wish.goesOn } : nil
        waiting.insert((wish, wake), at: place ?? waiting.endIndex)
    }

    /// Calls those who wait and for whom there is room now; not to be called by a sink.
    func wakeWaiting() {
        while let first = waiting.first, hasRoom(first.wish) {
            waiting.removeFirst()
            first.wake(give(first.wish.capacity))
        }
    }

    private func hasRoom(_ wish: RoomWish) -> Bool {
        held <= wish.holding || held + wish.capacity + wish.spare <= budget
    }

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
