import Core

/// What KIE makes from a song of Suno's, and what goes into one: each on a path with words of its own.
///
/// The same paths are those of sunoapi.org. Source: docs.kie.ai/suno-api and docs.sunoapi.org, the
/// page "get … details" of each.
extension KIEFamily {
    static let ofSongs = [wav, vocalRemoval, mp4, cover, midi, lyrics]

    static let wav = KIEFamily(
        name: "wav", path: "/api/v1/wav/record-info", state: song(failing: "generate_wav_failed"),
        files: [["response", "audioWavUrl"]])

    /// A file for each voice and instrument that was asked for; the song itself is the input.
    static let vocalRemoval = KIEFamily(
        name: "vocal-removal", path: "/api/v1/vocal-removal/record-info",
        state: song(failing: "generate_audio_failed"), files: [["response", anyURLKey]],
        mostOutputs: 12)

    static let mp4 = KIEFamily(
        name: "mp4", path: "/api/v1/mp4/record-info", state: song(failing: "generate_mp4_failed"),
        files: [["response", "videoUrl"]])

    /// 2 is "generating" here, where it is "failed" for videos and pictures.
    static let cover = KIEFamily(
        name: "suno-cover", path: "/api/v1/suno/cover/record-info",
        state: .flag([0: .pending, 1: .succeeded, 2: .running, 3: .failed], word: nil),
        files: [["response", "images"]], mostOutputs: 2)

    /// Its result is data in the answer and no file.
    static let midi = KIEFamily(
        name: "midi", path: "/api/v1/midi/record-info",
        state: .flag([0: .running, 1: .succeeded, 2: .failed, 3: .failed], word: nil), files: [])

    /// Its result is text in the answer and no file.
    static let lyrics = KIEFamily(
        name: "lyrics", path: "/api/v1/lyrics/record-info",
        state: .word(
            "status",
            [
                "pending": .pending, "success": .succeeded, "create_task_failed": .failed,
                "generate_lyrics_failed": .failed, "sensitive_word_error": .failed,
            ]), files: [])

    // `successFlag` holds a word on these paths.
    private static func song(failing word: String) -> StateField {
        .word(
            "successFlag",
            [
                "pending": .pending, "success": .succeeded, "create_task_failed": .failed,
                word: .failed,
                // Made, but their callback to us failed; the file shows it.
                callbackException: .succeeded,
            ])
    }
}
