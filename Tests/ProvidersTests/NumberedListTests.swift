import Core
import HTTP
import Providers
import Testing

@Suite("Lists with numbered pages")
struct NumberedListTests {
    /// How the provider writes a page of a list.
    struct Shape: Sendable, CustomTestStringConvertible {
        var provider: String
        var size: Int
        var page: @Sendable (_ items: String, _ total: String) -> String

        var testDescription: String { provider }
    }

    static let shapes = [
        Shape(provider: "minimax", size: 20) { #"{"items":[\#($0)]\#($1)}"# },
        Shape(provider: "seedance", size: 100) { #"{"items":[\#($0)]\#($1)}"# },
        Shape(provider: "wavespeed", size: 100) {
            #"{"code":200,"data":{"items":[\#($0)]\#($1)}}"#
        },
    ]

    @Test("end with the last task, whatever the size of a page turns out to be", arguments: shapes)
    func pages(shape: Shape) throws {
        let provider = try configured(shape.provider)
        let next = { (count: Int, cursor: String?, total: String) -> String? in
            let items = (0..<count).map { #"{"id":"t\#($0)","status":"failed"}"# }
            let body = shape.page(items.joined(separator: ","), total)
            let page = provider.listPage(
                Answer(httpStatus: 200, body: Array(body.utf8)), endpoint: "v2", cursor: cursor,
                now: testNow)
            #expect(page?.tasks.count == count)
            return page?.next
        }
        #expect(next(shape.size, nil, "") == "2")
        #expect(next(shape.size, "7", "") == "8")
        #expect(next(shape.size - 1, nil, "") == nil)
        #expect(next(0, nil, "") == nil)
        #expect(next(10, "2", #","total":45"#) == "3")
        #expect(next(10, "5", #","total":45"#) == nil)
        #expect(next(0, "2", #","total":45"#) == nil)
        #expect(next(shape.size, "999999999999999999999", "") == "2")
        #expect(next(shape.size, "9223372036854775807", "") == "1000000001")
    }

    @Test("a refusal is no page", arguments: shapes)
    func refusals(shape: Shape) throws {
        let provider = try configured(shape.provider)
        let empty = shape.page("", "")
        for (status, body) in [
            (401, empty), (500, empty), (429, "{}"), (200, "{}"), (200, "<html>"), (200, "null"),
            (200, #"{"id":"t1","status":"running"}"#), (200, #"{"items":null}"#),
            (200, #"{"code":500,"data":{"items":[]}}"#),
        ] {
            let answer = Answer(httpStatus: status, body: Array(body.utf8))
            #expect(
                provider.listPage(answer, endpoint: nil, cursor: nil, now: testNow) == nil,
                "\(body)")
        }
    }
}
