internal import Glibc

enum SystemError {
    /// The system's words for an `errno`, through the variant that is safe on any thread.
    static func text(_ number: Int) -> String {
        var buffer = [CChar](repeating: 0, count: 128)
        guard strerror_r(Int32(truncatingIfNeeded: number), &buffer, buffer.count) == 0 else {
            return "error \(number)"
        }
        return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self)
    }
}
