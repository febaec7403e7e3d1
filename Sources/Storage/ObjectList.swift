package import Core
package import HTTP
internal import Disk
internal import Glibc

/// One object of a store, as its list names it.
package struct ListedObject: Equatable, Sendable {
    /// Below the root of the store: what the keys of files are written as.
    package var name: String
    package var bytes: Int64

    package init(name: String, bytes: Int64) {
        self.name = name
        self.bytes = bytes
    }
}

/// A part of the list of a store.
package struct ObjectPage: Equatable, Sendable {
    package var objects: [ListedObject]
    /// What the next page is asked for by, in later runs too; nil at the end.
    package var next: String?

    package init(objects: [ListedObject], next: String?) {
        self.objects = objects
        self.next = next
    }

    /// Objects of one page at most.
    package static let rows = 1000
}

/// A store that can say what is in it.
package protocol ListsObjects {
    /// A page of the objects whose names begin with `prefix`, in the order of their names.
    ///
    /// - Parameter place: `next` of the page before; nil for the first.
    func list(
        below prefix: String, after place: String?, _ session: Session,
        then: @escaping (Result<ObjectPage, Failure>) -> Void)
}

// MARK: A folder

extension FileStore {
    /// Goes through the three levels that keys have; what is hidden is no object, and neither is what
    /// lies at the top or deeper.
    package func list(
        below prefix: String, after place: String?, _ session: Session,
        then: @escaping (Result<ObjectPage, Failure>) -> Void
    ) {
        then(Result { () throws(Failure) in try page(below: prefix, after: place) })
    }

    private func page(below prefix: String, after place: String?) throws(Failure) -> ObjectPage {
        var found: [ListedObject] = []
        // What nobody has made yet has nothing in it.
        guard access(root, F_OK) == 0 || errno != ENOENT else {
            return ObjectPage(objects: [], next: nil)
        }
        let top = try openRoot()
        for account in try Self.entries(of: top, root, "", prefix, place) {
            guard let kinds = Self.open(account, in: top) else { continue }
            for kind in try Self.entries(of: kinds, root, account + "/", prefix, place) {
                guard let files = Self.open(kind, in: kinds) else { continue }
                let folder = "\(account)/\(kind)/"
                for file in try Self.entries(of: files, root, folder, prefix, place) {
                    let name = folder + file
                    if let place, !Self.precedes(place, name) { continue }
                    var status = stat()
                    guard fstatat(files.number, file, &status, AT_SYMLINK_NOFOLLOW) == 0,
                        status.st_mode & S_IFMT == S_IFREG
                    else { continue }
                    guard found.count < ObjectPage.rows else {
                        return ObjectPage(objects: found, next: found.last?.name)
                    }
                    found.append(ListedObject(name: name, bytes: Int64(status.st_size)))
                }
            }
        }
        return ObjectPage(objects: found, next: nil)
    }

    /// What is in a folder in the order of the bytes, as far as it can lead to what is wanted.
    private static func entries(
        of folder: borrowing Descriptor, _ root: String, _ path: String, _ prefix: String,
        _ place: String?
    ) throws(Failure) -> [String] {
        guard let stream = fdopendir(dup(folder.number)) else {
            throw Failure(
                .unavailable, code: "storage_unavailable",
                "cannot list \(root)/\(path): \(String(cString: strerror(errno)))"
                    + "; the next run tries again")
        }
        defer { closedir(stream) }
        rewinddir(stream)
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            let whole = path + name
            guard !name.hasPrefix("."), whole.hasPrefix(prefix) || prefix.hasPrefix(whole),
                place.map({ $0.hasPrefix(whole) || precedes($0, whole) }) ?? true
            else { continue }
            names.append(name)
        }
        return names.sorted(by: precedes)
    }

    private static func open(_ name: String, in folder: borrowing Descriptor) -> Descriptor? {
        let next = Descriptor(
            openat(folder.number, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0))
        guard next.isOpen else { return nil }
        return next
    }

    /// In the order of a walk: folder by folder, so that a slash comes before everything.
    private static func precedes(_ one: String, _ other: String) -> Bool {
        func walked(_ byte: UInt8) -> UInt8 { byte == UInt8(ascii: "/") ? 0 : byte }
        return one.utf8.lexicographicallyPrecedes(other.utf8) { walked($0) < walked($1) }
    }
}

// MARK: S3

extension S3Store {
    package func list(
        below prefix: String, after place: String?, _ session: Session,
        then: @escaping (Result<ObjectPage, Failure>) -> Void
    ) {
        var query = [
            (name: "list-type", value: "2"), (name: "max-keys", value: "\(ObjectPage.rows)"),
            (name: "encoding-type", value: "url"),
            (name: "prefix", value: location.prefix.isEmpty ? prefix : location.name(prefix)),
        ]
        // A name and no token, so that a later run can go on from it.
        if let place { query.append((name: "start-after", value: location.name(place))) }
        let operation = S3Operation(
            action: "list objects", method: "GET", name: nil, query: query)
        wire(session).send(operation) { [location] answer in
            switch answer {
            case .failure(let problem): then(.failure(problem.failure))
            case .success(let response):
                let text = String(decoding: response.body, as: UTF8.self)
                let isCoded = XMLText.first("EncodingType", in: text) == "url"
                var last: String?
                let objects = XMLText.all("Contents", in: text).compactMap {
                    entry -> ListedObject? in
                    guard var name = XMLText.first("Key", in: entry) else { return nil }
                    if isCoded { name = PercentEscape.decode(plus: name) ?? name }
                    guard let own = location.own(name) else { return nil }
                    last = own
                    let bytes = XMLText.first("Size", in: entry).flatMap { Int64($0) } ?? 0
                    return ListedObject(name: own, bytes: bytes)
                }
                let hasMore = XMLText.first("IsTruncated", in: text) == "true"
                then(.success(ObjectPage(objects: objects, next: hasMore ? last : nil)))
            }
        }
    }
}

extension PercentEscape {
    /// What a query's value stands for, where a plus sign is a space.
    fileprivate static func decode(plus text: String) -> String? {
        decode(text.split(separator: "+", omittingEmptySubsequences: false).joined(separator: " "))
    }
}

extension BucketLocation {
    /// The name below our prefix; nil for what is beside it.
    fileprivate func own(_ name: String) -> String? {
        if prefix.isEmpty { return name }
        guard name.hasPrefix(prefix + "/") else { return nil }
        return String(name.dropFirst(prefix.utf8.count + 1))
    }
}

// MARK: Supabase

extension SupabaseStore {
    /// Source: github.com/supabase/storage, `src/http/routes/object/listObjectsV2.ts`.
    package func list(
        below prefix: String, after place: String?, _ session: Session,
        then: @escaping (Result<ObjectPage, Failure>) -> Void
    ) {
        var members: [JSONObject.Member] = [
            .init(key: "prefix", value: .string(location.name(prefix))),
            .init(key: "limit", value: .integer(ObjectPage.rows)),
            .init(key: "with_delimiter", value: .bool(false)),
        ]
        if let place { members.append(.init(key: "cursor", value: .string(place))) }
        let body = JSON.write(.object(JSONObject(members)))
        let site = site(session)
        let address = location.address(
            "object/list-v2/\(PercentEscape.encode(path: location.bucket))")
        site.wire.send(
            "list objects",
            {
                site.request(
                    "POST", address, [Header("Content-Type", "application/json")], text: body)
            }
        ) { [location] answer in
            switch answer {
            case .failure(let problem): then(.failure(problem.failure))
            case .success(let response):
                then(Result { () throws(Failure) in try Self.page(response.body, location) })
            }
        }
    }

    private static func page(
        _ body: [UInt8], _ location: SupabaseLocation
    ) throws(Failure) -> ObjectPage {
        guard let told = try? JSON.parse(body), let list = told["objects"]?.array else {
            throw Failure(
                .unavailable, code: "storage_unavailable",
                "cannot list objects in \(location.words): its answer is no list; is its version of "
                    + "Supabase Storage one that knows list-v2?")
        }
        let objects = list.compactMap { entry -> ListedObject? in
            guard let name = (entry["key"] ?? entry["name"])?.text, let own = location.own(name)
            else { return nil }
            return ListedObject(name: own, bytes: entry["metadata"]?["size"]?.int ?? 0)
        }
        let hasMore = told["hasNext"]?.bool == true
        return ObjectPage(objects: objects, next: hasMore ? told["nextCursor"]?.text : nil)
    }
}
