import HTTP
import Testing

struct SafeURLTests {
    @Test(arguments: [
        ("https://Example.COM/x", "https", "example.com", 443),
        ("HTTP://example.com", "http", "example.com", 80),
        ("https://example.com:8443/", "https", "example.com", 8443),
        ("http://[2001:DB8::1]:81/", "http", "2001:db8::1", 81),
        ("https://user:word@example.com/", "https", "example.com", 443),
        ("https://example.com@evil.example/", "https", "evil.example", 443),
        ("https://example.com/a b?c=é", "https", "example.com", 443),
    ])
    func readsTheParts(_ url: String, _ scheme: String, _ host: String, _ port: Int) throws {
        let parts = try #require(SafeURL.parse(url))
        #expect(parts.scheme == scheme)
        #expect(parts.host == host)
        #expect(parts.port == port)
    }

    @Test(arguments: ["", "x", "ftp://a/", "file:///a", "http://", "http://a\r\n/", "//a/b"])
    func refuses(_ url: String) {
        #expect(SafeURL.parse(url) == nil)
        #expect(SafeURL.redacted(url) == "(not an http URL)")
    }

    @Test(arguments: [
        ("https://a.example/b/c.mp4?X-Amz-Signature=abc#d", "https://a.example/b/c.mp4"),
        ("https://user:word@a.example:444/b?c", "https://a.example:444/b"),
        ("http://a.example", "http://a.example/"),
        ("http://a.example:80/x", "http://a.example/x"),
        ("http://[::1]:8080/x?y", "http://[::1]:8080/x"),
        ("https://a.example?token=1", "https://a.example/"),
        ("https://a.example#token", "https://a.example/"),
    ])
    func redacts(_ url: String, _ expected: String) {
        #expect(SafeURL.redacted(url) == expected)
    }
}
