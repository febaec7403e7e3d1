import Core
import Testing

@testable import Storage

struct ObjectKeyTests {
    @Test(arguments: [
        ("acct", "job", "acct", "job"),
        ("Acct-1_x.y", "a.b-c_d", "Acct-1_x.y", "a.b-c_d"),
        ("a/b", "../../etc/passwd", "a=2Fb", "=2E.=2F..=2Fetc=2Fpasswd"),
        (".", "..", "=2E", "=2E."),
        ("", "", "=", "="),
        ("=", "%41", "=3D", "=2541"),
        (".hidden", "-rf", "=2Ehidden", "-rf"),
        ("me@example.com", "job 7", "me=40example.com", "job=207"),
        ("é", "日", "=C3=A9", "=E6=97=A5"),
        ("a\0b", "a\nb", "a=00b", "a=0Ab"),
        ("a\\b", "C:", "a=5Cb", "C=3A"),
    ])
    func everyPartIsSafe(_ account: String, _ job: String, _ folder: String, _ name: String) {
        let key = ObjectKey(
            account: account, kind: .video, jobID: job, ordinal: 3, fileExtension: "mp4")
        #expect(key.description == "\(folder)/video/\(name)_3.mp4")
        #expect(key.origin?.account == account)
        #expect(key.origin?.jobID == job)
        #expect(key.origin?.kind == .video)
        #expect(key.origin?.ordinal == 3)
        #expect(ObjectKey(key.description) == key)
        let second = key.alternative(2)
        #expect(second.description == "\(folder)/video/\(name)_3-2.mp4")
        #expect(ObjectKey(second.description) == second)
        #expect(second.origin?.jobID == job)
        #expect(second.alternative(1) == key.alternative(1))
        #expect(second.isAlternative(of: key))
    }

    @Test(arguments: JobKind.allCases)
    func everyKindHasAFolder(_ kind: JobKind) {
        let key = ObjectKey(account: "a", kind: kind, jobID: "j", ordinal: 0, fileExtension: "x")
        #expect(key.description == "a/\(kind.rawValue)/j_0.x")
    }

    @Test(arguments: ["", ".", "a.b", "../x", "a/b", "é"])
    func anExtensionCannotBreakOut(_ fileExtension: String) {
        let key = ObjectKey(
            account: "a", kind: .other, jobID: "j", ordinal: 0, fileExtension: fileExtension)
        #expect(key.description.split(separator: "/").count == 3)
        #expect(key.fileName.count { $0 == "." } == 1)
        #expect(ObjectKey(key.description) == key)
    }

    @Test func differentIdsNeverShareAKey() {
        // Ids that an escape or a separator could confuse.
        let ids = [
            "a", "A", "a_1", "a_1-2", "a=", "a=2F", "a/", "a%2F", "a.", ".a", "=2Ea", "a.mp4",
            "a_1.mp4", "", "=", "a ", " a", "a\u{301}", "á",
        ]
        var seen: [String: String] = [:]
        for id in ids {
            for ordinal in [0, 1, 12] {
                for number in [nil, 1, 2] as [Int?] {
                    var key = ObjectKey(
                        account: "x", kind: .image, jobID: id, ordinal: ordinal,
                        fileExtension: "mp4")
                    if let number { key = key.alternative(number) }
                    let what = "\(Array(id.utf8)) \(ordinal) \(number ?? 0)"
                    #expect(seen[key.description] == nil, "\(what), \(key)")
                    seen[key.description] = what
                    #expect(key.origin.map { Array($0.jobID.utf8) } == Array(id.utf8))
                }
            }
        }
    }

    @Test(arguments: [
        (String(repeating: "a", count: 200), true), (String(repeating: "a", count: 201), false),
        (String(repeating: "é", count: 33), true), (String(repeating: "é", count: 34), false),
        (String(repeating: "/", count: 66), true), (String(repeating: "/", count: 67), false),
        (String(repeating: "x", count: 100_000), false),
    ])
    func aLongPartIsCutWithADigest(_ id: String, _ whole: Bool) {
        let key = ObjectKey(account: id, kind: .audio, jobID: id, ordinal: 9, fileExtension: "mp3")
        #expect((key.origin?.jobID == id) == whole)
        #expect((key.origin == nil) == !whole)
        #expect(ObjectKey.escape(id).utf8.count <= 200)
        #expect(key.alternative(.max).fileName.utf8.count <= 255)
        #expect(ObjectKey(key.description) == key)
        let other = ObjectKey(
            account: id, kind: .audio, jobID: id + "b", ordinal: 9, fileExtension: "mp3")
        #expect(other != key)
        #expect(!key.description.contains("=_"))
    }

    @Test(arguments: [
        "", "/", "//", "a", "a/video", "a/video/", "a/video/j", "a/video/j_0", "a/video/j.mp4",
        "a/movie/j_0.mp4", "/video/j_0.mp4", "a/video/_0.mp4", "a/video/j_.mp4", "a/video/j_x.mp4",
        "a/video/j_0.", "a/video/.j_0.mp4", "./video/j_0.mp4", "../video/j_0.mp4",
        "a/video/j_00.mp4", "a/video/j_+1.mp4", "a/video/j_0-.mp4", "a/video/j_0-x.mp4",
        "a/video/j_0-1-2.mp4", "a/video/j 0_0.mp4", "a/video/j%_0.mp4", "a/video/x/j_0.mp4",
        "a/video/j_99999999999999999999.mp4", "a\0/video/j_0.mp4",
    ])
    func isNoKey(_ text: String) {
        #expect(ObjectKey(text) == nil)
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func anyIdComesBack(_ seed: UInt64) {
        var state = seed &* 0x9e37_79b9_7f4a_7c15 &+ 1
        func next(_ bound: UInt64) -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) % bound
        }
        for _ in 0..<200 {
            let scalars = (0..<next(40)).compactMap { _ in
                Unicode.Scalar(UInt32(next(3) == 0 ? next(0x2ff) : next(0x7f)))
            }
            let id = String(String.UnicodeScalarView(scalars))
            let key = ObjectKey(
                account: id, kind: .other, jobID: id, ordinal: 1, fileExtension: "bin")
            guard let origin = key.origin else {
                #expect(ObjectKey.escape(id).contains("=."), "seed \(seed), id \(scalars)")
                continue
            }
            #expect(Array(origin.jobID.utf8) == Array(id.utf8), "seed \(seed), id \(scalars)")
            #expect(ObjectKey(key.description) == key, "seed \(seed), id \(scalars)")
        }
    }
}
