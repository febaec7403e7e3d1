import Recovery
import Testing

/// How many jobs the next transaction writes, as a table of what the last ones took.
@Suite struct BatchPaces {
    @Test(
        arguments: [
            ([], 20),
            ([(20, 20)], 20),
            ([(20, 21)], 10),
            ([(20, 21), (10, 30), (5, 30), (4, 900)], 4),
            // Few were written, and took too long: half as many.
            ([(9, 40)], 4),
            // It grows again only by full transactions that were quick.
            ([(20, 21), (10, 10)], 10),
            ([(20, 21), (3, 1)], 10),
            ([(20, 21), (10, 9)], 15),
            ([(20, 21), (10, 9), (15, 9), (20, 9)], 20),
        ] as [([(Int, Int)], Int)])
    func `a transaction that took long makes the next ones smaller`(
        _ taken: [(Int, Int)], _ size: Int
    ) {
        var pace = BatchPace()
        for (count, milliseconds) in taken {
            pace.note(count, took: .milliseconds(milliseconds))
        }
        #expect(pace.size == size)
    }
}
