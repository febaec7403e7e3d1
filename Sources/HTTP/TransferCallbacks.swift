internal import CCurl
internal import Glibc

extension Transfer {
    /// Points libcurl at the functions below, with this transfer as their context.
    func configureCallbacks() throws(HTTPError) {
        let context = Unmanaged.passUnretained(self).toOpaque()
        for option in [
            CURLOPT_HEADERDATA, CURLOPT_WRITEDATA, CURLOPT_OPENSOCKETDATA, CURLOPT_PREREQDATA,
        ] {
            try check(curl_easy_set_pointer(easy, option, context), "\(option.rawValue)")
        }
        try check(
            curl_easy_set_bytes_function(easy, CURLOPT_HEADERFUNCTION) { bytes, size, count, me in
                guard let transfer = Transfer.at(me) else { return 0 }
                let line = UnsafeRawBufferPointer(start: bytes, count: size * count)
                return transfer.takeHeaderLine(line) ? line.count : 0
            }, "CURLOPT_HEADERFUNCTION")
        try check(
            curl_easy_set_bytes_function(easy, CURLOPT_WRITEFUNCTION) { bytes, size, count, me in
                guard let transfer = Transfer.at(me) else { return 0 }
                return transfer.takeBody(UnsafeRawBufferPointer(start: bytes, count: size * count))
            }, "CURLOPT_WRITEFUNCTION")
        try check(
            curl_easy_set_open_socket_function(easy) { me, _, address in
                guard let transfer = Transfer.at(me) else { return curl_socket_bad }
                return transfer.openSocket(address)
            }, "CURLOPT_OPENSOCKETFUNCTION")
        try check(
            curl_easy_set_before_request_function(easy) { me, address, _, _, _ in
                guard let transfer = Transfer.at(me), transfer.mayAsk(address) else {
                    return CURL_PREREQFUNC_ABORT
                }
                return CURL_PREREQFUNC_OK
            }, "CURLOPT_PREREQFUNCTION")
    }

    private static func at(_ context: UnsafeMutableRawPointer?) -> Transfer? {
        context.map { Unmanaged<Transfer>.fromOpaque($0).takeUnretainedValue() }
    }

    // MARK: Egress

    /// The one place that sees every address, however it was spelt and on whichever hop.
    private func openSocket(_ address: UnsafeMutablePointer<curl_sockaddr>) -> curl_socket_t {
        let wanted = IPAddress(
            curl_sockaddr_address(address), length: Int(address.pointee.addrlen))
        guard permits(wanted) else { return curl_socket_bad }
        let kind = address.pointee.socktype | Int32(bitPattern: SOCK_CLOEXEC.rawValue)
        // Read at once: any call may change it.
        let opened = socket(address.pointee.family, kind, address.pointee.protocol)
        socketError = opened < 0 ? Int(errno) : 0
        return opened
    }

    /// A kept connection opens no socket, and may have been opened under a wider policy.
    private func mayAsk(_ address: UnsafeMutablePointer<CChar>?) -> Bool {
        guard case .publicOnly = request.egress else { return true }
        wasPermitted = false
        return permits(address.flatMap { IPAddress(String(cString: $0)) })
    }

    private func permits(_ address: IPAddress?) -> Bool {
        guard case .publicOnly = request.egress else { return true }
        guard let address else {
            refusal = "an address that is neither IPv4 nor IPv6"
            return false
        }
        if let rule = request.egress.refusal(of: address) {
            refusal = "\(address) (\(rule))"
            return false
        }
        wasPermitted = true
        return true
    }

    // MARK: Header lines

    /// Takes one line with its line end; false ends the transfer.
    private func takeHeaderLine(_ line: UnsafeRawBufferPointer) -> Bool {
        headBytes += line.count
        guard headBytes <= Self.headLimitBytes else {
            let limit = Self.headLimitBytes
            return stop(failure(.tooLarge, "\(host): more than \(limit) bytes of header lines"))
        }
        // Past the header block these are a chunked body's trailers, which nobody here needs; but
        // without a limit they could go on for ever, being neither body nor silence.
        if head == .complete { return true }
        let text = String(decoding: line, as: UTF8.self)
        let blanks: (Character) -> Bool = { $0 == "\r\n" || $0 == "\r" || $0 == "\n" }
        let content = text.prefix { !blanks($0) }
        switch head {
        case .awaitingStatus: takeStatus(content)
        case .inHeaders where content.isEmpty: return takeEndOfHead()
        case .inHeaders: takeHeader(content)
        case .complete: break
        }
        return true
    }

    private func takeStatus(_ line: Substring) {
        let parts = line.split(separator: " ", maxSplits: 2)
        guard parts.count >= 2, parts[0].hasPrefix("HTTP/") else { return }
        status = Int(parts[1]) ?? 0
        headers = []
        head = .inHeaders
    }

    private func takeHeader(_ line: Substring) {
        let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        if line.first.map(isBlank) == true {
            guard let last = headers.indices.last else { return }
            headers[last].value += " " + line.drop(while: isBlank)
            return
        }
        guard let colon = line.firstIndex(of: ":") else { return }
        var value = line[line.index(after: colon)...].drop(while: isBlank)
        while value.last.map(isBlank) == true { value.removeLast() }
        headers.append(Header(String(line[..<colon]), String(value)))
    }

    private func takeEndOfHead() -> Bool {
        // 100 Continue and 103 Early Hints announce another header block.
        if (100..<200).contains(status) {
            head = .awaitingStatus
            return true
        }
        head = .complete
        guard let sink else { return hasRoom() }
        if [301, 302, 303, 307, 308].contains(status),
            let location = headers.first(named: "location")
        {
            end = .redirect(to: location)
            return false
        }
        guard sink.began(status: status, headers: headers) else {
            end = .notWanted
            return false
        }
        return hasRoom()
    }

    /// Spares the transfer when the declared length is already too much.
    private func hasRoom() -> Bool {
        guard request.method != "HEAD" || sink != nil, status != 304,
            let declared = headers.first(named: "content-length").flatMap({ Int($0) }),
            declared > request.bodyLimitBytes
        else { return true }
        return stop(tooLarge())
    }

    // MARK: Body

    private func takeBody(_ bytes: UnsafeRawBufferPointer) -> Int {
        guard end == nil else { return 0 }
        guard bytes.count <= request.bodyLimitBytes - bodyBytes else {
            end = .failed(tooLarge())
            return 0
        }
        guard let sink else {
            body.append(contentsOf: bytes)
            bodyBytes += bytes.count
            return bytes.count
        }
        guard !bytes.isEmpty else { return 0 }
        switch sink.receive(bytes) {
        case .taken:
            bodyBytes += bytes.count
            return bytes.count
        case .pause:
            isPaused = true
            return Int(CURL_WRITEFUNC_PAUSE)
        case .stop:
            end = .failed(failure(.stopped, "\(host): stopped after \(bodyBytes) bytes"))
            // Zero bytes were offered never, so this differs from the count and ends the transfer.
            return 0
        }
    }

    private func tooLarge() -> HTTPError {
        failure(.tooLarge, "\(host): the body is larger than \(request.bodyLimitBytes) bytes")
    }

    private func stop(_ error: HTTPError) -> Bool {
        end = .failed(error)
        return false
    }
}
