import HTTP

/// Keeps what a download delivers, and answers as the test wants.
final class Collector: DownloadSink {
    var wanted = true
    /// Asked for each piece with the number of pieces offered before it.
    var answer: (Int) -> SinkAnswer = { _ in .taken }
    /// Called after a piece was taken.
    var taken: () -> Void = {}

    private(set) var begins: [(status: Int, headers: [Header])] = []
    private(set) var bytes: [UInt8] = []
    private(set) var offers = 0

    func began(status: Int, headers: [Header]) -> Bool {
        begins.append((status, headers))
        return wanted
    }

    func receive(_ piece: UnsafeRawBufferPointer) -> SinkAnswer {
        let answer = self.answer(offers)
        offers += 1
        if case .taken = answer {
            bytes.append(contentsOf: piece)
            taken()
        }
        return answer
    }
}

extension Client {
    /// Drives until `condition` holds; false when something ended before it did.
    mutating func drive(until condition: () -> Bool) -> Bool {
        while !condition() {
            guard inFlight > 0, step(wait: .seconds(1)).isEmpty else { return false }
        }
        return true
    }

    /// Drives until everything in flight has ended, by tag.
    mutating func finish() -> [Int: Result<Response, HTTPError>] {
        var results: [Int: Result<Response, HTTPError>] = [:]
        while inFlight > 0 {
            for completion in step(wait: .seconds(1)) {
                results[completion.tag] = completion.result
            }
        }
        return results
    }

    /// One download from beginning to end.
    mutating func fetch(
        _ request: Request, into sink: any DownloadSink
    ) -> Result<Response, HTTPError> {
        download(request, tag: 1, sink: sink)
        return finish()[1] ?? .failure(HTTPError(code: .other, host: "", message: "no completion"))
    }

    /// One request from beginning to end, as a value.
    mutating func ask(_ request: Request) -> Result<Response, HTTPError> {
        do throws(HTTPError) { return .success(try perform(request)) } catch {
            return .failure(error)
        }
    }
}

extension Result where Success == Response, Failure == HTTPError {
    var code: HTTPError.Code? {
        if case .failure(let error) = self { return error.code }
        return nil
    }

    var message: String {
        if case .failure(let error) = self { return error.message }
        return ""
    }

    var status: Int? { (try? get())?.status }
}
