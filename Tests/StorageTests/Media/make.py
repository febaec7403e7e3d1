#!/usr/bin/env python3
"""Makes the samples beside this file: media that is taken in good/, media that is not in foreign/.

Made with Pillow 13.0, pillow-heif 1.8, trimesh 5.2, ffmpeg 5.1.9 and zip 3.0 by

    python3 -m venv peers && peers/bin/pip install pillow pillow-heif trimesh numpy
    peers/bin/python Tests/StorageTests/Media/make.py
"""

import gzip
import io
import lzma
import os
import random
import subprocess
import wave
import zipfile

import pillow_heif
import trimesh
from PIL import Image, PngImagePlugin

pillow_heif.register_heif_opener()
here = os.path.dirname(os.path.abspath(__file__))
chance = random.Random(1)


def path(name):
    return os.path.join(here, name)


def picture(mode="RGB", size=(24, 16), shift=0):
    image = Image.new("RGB", size)
    image.putdata(
        [
            ((x * 9 + shift) % 256, (y * 14) % 256, (x * y + 40) % 256)
            for y in range(size[1])
            for x in range(size[0])
        ]
    )
    return image.convert(mode)


def noise(size=(40, 30)):
    return Image.frombytes("RGB", size, chance.randbytes(size[0] * size[1] * 3))


def frames(mode="RGB"):
    return [picture(mode, shift=n * 60) for n in range(4)]


def series(name, mode="RGB", **options):
    first, *rest = frames(mode)
    first.save(path(name), save_all=True, append_images=rest, **options)


def pictures():
    text = PngImagePlugin.PngInfo()
    text.add_text("prompt", "a lighthouse in a storm, <html>, {}", zip=False)
    text.add_itxt("Description", "Ein Leuchtturm im Sturm")
    exif = Image.Exif()
    exif[0x010E] = "a lighthouse"
    small = io.BytesIO()
    picture(size=(8, 8)).save(small, "JPEG", quality=20)

    picture().save(path("good/rgb.png"))
    picture("RGBA").save(path("good/alpha.png"))
    picture("L").save(path("good/grey.png"))
    picture("P").save(path("good/palette.png"), optimize=True)
    picture("1").save(path("good/one-bit.png"))
    picture().save(path("good/text-chunks.png"), pnginfo=text, dpi=(72, 72), exif=exif)
    noise().save(path("good/noise.png"))
    series("good/animated.png", duration=40)
    Image.new("RGB", (1, 1)).save(path("good/one-pixel.png"))

    picture().save(path("good/baseline.jpg"), quality=80)
    noise().save(path("good/noise.jpg"), quality=90)
    picture().save(path("good/progressive.jpg"), progressive=True)
    picture("L").save(path("good/grey.jpg"))
    picture("CMYK").save(path("good/cmyk.jpg"))
    picture().save(path("good/exif.jpg"), exif=exif, comment=b"\xff\xd9 is no end here")
    noise().save(path("good/restarts.jpg"), restart_marker_rows=1)
    # A preview in the metadata, with an end marker of its own.
    preview = b"Exif\0\0MM\0*\0\0\0\x08" + small.getvalue()
    data = io.BytesIO()
    picture().save(data, "JPEG")
    whole = data.getvalue()
    segment = b"\xff\xe1" + (len(preview) + 2).to_bytes(2, "big") + preview
    with open(path("good/preview.jpg"), "wb") as file:
        file.write(whole[:2] + segment + whole[2:])
    series("good/two-pictures.jpg", format="MPO")

    picture("P").save(path("good/still.gif"))
    picture("P").save(path("good/transparent.gif"), transparency=0, comment=b"; GIF \0x3b")
    series("good/animated.gif", "P", duration=40, loop=0)
    frames()[0].save(path("good/local-palettes.gif"), save_all=True, duration=40,
                     append_images=[noise((24, 16))])
    noise((64, 48)).convert("P").save(path("good/noise.gif"))

    picture().save(path("good/lossy.webp"), quality=60)
    picture("RGBA").save(path("good/lossless.webp"), lossless=True)
    picture().save(path("good/exif.webp"), exif=exif)
    noise().save(path("good/noise.webp"))
    series("good/animated.webp", duration=40)

    picture().save(path("good/still.avif"), quality=40)
    picture("RGBA").save(path("good/alpha.avif"), quality=40)
    series("good/animated.avif", duration=40)
    picture(size=(64, 64)).save(path("good/still.heic"), quality=40)
    first, *rest = [picture(size=(64, 64), shift=n) for n in (0, 90)]
    first.save(path("good/two-pictures.heic"), save_all=True, append_images=rest, quality=30)

    for ending in ("bmp", "tiff", "pdf", "ico", "jp2", "ppm", "tga"):
        picture().save(path(f"foreign/picture.{ending}"))


def ffmpeg(name, *options, sound=True, video=True, pipe=None):
    command = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-y"]
    if video:
        command += ["-f", "lavfi", "-i", "testsrc=size=32x32:rate=5:duration=0.6"]
    if sound:
        command += ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=16000:duration=0.3"]
    command += ["-ac", "1"] if sound else []
    # Nothing of the encoder's own settings: they would be most of a small file.
    command += ["-bsf:v", "filter_units=remove_types=6"] if "libx264" in options else []
    command += ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"]
    command += list(options)
    if pipe:
        with open(path(name), "wb") as file:
            made = subprocess.run(command + ["-f", pipe, "pipe:1"], stdout=subprocess.PIPE)
            file.write(made.stdout)
    else:
        subprocess.run(command + [path(name)], check=True)


def videos():
    h264 = ("-c:v", "libx264", "-crf", "40", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "16k")
    fragments = ("-movflags", "+frag_keyframe+empty_moov+default_base_moof", "-g", "2")
    ffmpeg("good/plain.mp4", *h264)
    ffmpeg("good/silent.mp4", *h264[:6], sound=False)
    ffmpeg("good/fast-start.mp4", *h264, "-movflags", "+faststart")
    ffmpeg("good/fragments.mp4", *h264, *fragments)
    ffmpeg("good/fragments-pipe.mp4", *h264, *fragments, pipe="mp4")
    ffmpeg("good/dash.mp4", *h264, "-movflags", "+dash+global_sidx", "-g", "2")
    ffmpeg("good/tagged.mp4", *h264, "-metadata", "title=<html>", "-movflags", "use_metadata_tags")
    ffmpeg("good/mpeg4.mp4", "-c:v", "mpeg4", "-q:v", "31", "-c:a", "aac", "-b:a", "16k")
    ffmpeg("good/hevc.mp4", "-c:v", "libx265", "-x265-params", "log-level=0:info=0",
           "-crf", "40", sound=False)
    ffmpeg("good/av1.mp4", "-c:v", "libaom-av1", "-crf", "60", "-cpu-used", "8", sound=False)
    ffmpeg("good/brand-m4v.mp4", *h264, "-brand", "M4V ")
    ffmpeg("good/sound.m4a", "-c:a", "aac", "-b:a", "16k", video=False)
    ffmpeg("good/alac.m4a", "-c:a", "alac", video=False)
    ffmpeg("good/h264.mov", *h264)
    ffmpeg("good/fast-start.mov", *h264, "-movflags", "+faststart")
    ffmpeg("good/motion-jpeg.mov", "-c:v", "mjpeg", "-q:v", "31", "-r", "2", sound=False)
    ffmpeg("good/no-brand.mov", "-c:v", "mpeg4", "-q:v", "31", sound=False)
    # QuickTime files from before brands begin with the second box.
    with open(path("good/no-brand.mov"), "r+b") as file:
        data = file.read()[int.from_bytes(data_head(path("good/no-brand.mov")), "big"):]
        file.seek(0)
        file.truncate()
        file.write(data)
    vp8 = ("-c:v", "libvpx", "-b:v", "20k", "-deadline", "realtime", "-c:a", "libopus",
           "-b:a", "8k")
    ffmpeg("good/vp8.webm", *vp8)
    ffmpeg("good/vp9.webm", "-c:v", "libvpx-vp9", "-crf", "60", "-c:a", "libvorbis", "-b:a",
           "16k", sound=False)
    ffmpeg("good/live.webm", *vp8, "-live", "1")
    ffmpeg("good/pipe.webm", *vp8, pipe="webm")
    ffmpeg("good/sound.webm", *vp8[6:], video=False)
    ffmpeg("good/theora.ogv", "-c:v", "libtheora", "-q:v", "1", sound=False)

    ffmpeg("foreign/mpeg4.avi", "-c:v", "mpeg4", "-q:v", "31", "-frames:v", "1", sound=False)
    ffmpeg("foreign/h264.mkv", *h264)
    ffmpeg("foreign/h264.ts", *h264[:6], sound=False)
    ffmpeg("foreign/flash.flv", "-c:v", "flv", "-q:v", "31", sound=False)
    ffmpeg("foreign/mpeg.mpg", "-c:v", "mpeg1video", "-r", "25", "-q:v", "31", "-t", "0.1",
           sound=False)


def data_head(name):
    with open(name, "rb") as file:
        return file.read(4)


def sounds():
    brief = ("-t", "0.1")
    ffmpeg("good/tag.mp3", "-b:a", "16k", "-metadata", "title=a storm", video=False)
    ffmpeg("good/tag-v1.mp3", "-b:a", "16k", "-metadata", "title=a storm", "-write_id3v1", "1",
           "-id3v2_version", "0", video=False)
    ffmpeg("good/bare.mp3", "-b:a", "32k", "-ar", "44100", "-id3v2_version", "0",
           "-write_xing", "0", video=False)
    ffmpeg("good/tag-v2-3.mp3", "-q:a", "9", "-id3v2_version", "3", "-metadata",
           "title=a storm", video=False)
    ffmpeg("good/pcm.wav", *brief, video=False)
    ffmpeg("good/pcm8-odd.wav", "-c:a", "pcm_u8", "-ar", "8000", "-af", "atrim=end_sample=333",
           video=False)
    ffmpeg("good/float.wav", "-c:a", "pcm_f32le", "-ar", "8000", *brief, video=False)
    ffmpeg("good/tagged.wav", "-ar", "8000", *brief, "-metadata", "title=a storm", video=False)
    ffmpeg("good/rf64.wav", "-ar", "8000", *brief, "-rf64", "always", video=False)
    ffmpeg("good/pipe.wav", "-ar", "8000", *brief, video=False, pipe="wav")
    with wave.open(path("good/wave-module.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(chance.randbytes(1000))
    ffmpeg("good/vorbis.ogg", "-c:a", "libvorbis", "-q:a", "0", "-ar", "8000", video=False)
    ffmpeg("good/opus.ogg", "-c:a", "libopus", "-b:a", "8k", video=False)
    ffmpeg("good/speex.ogg", "-c:a", "libspeex", video=False)
    ffmpeg("good/flac.ogg", "-c:a", "flac", "-ar", "8000", *brief, video=False)
    flac = ("-c:a", "flac", "-metadata_header_padding", "40")
    ffmpeg("good/plain.flac", *flac, "-ar", "8000", *brief, video=False)
    ffmpeg("good/tagged.flac", *flac, "-ar", "8000", *brief, "-metadata",
           "title=a storm", video=False)
    ffmpeg("good/pipe.flac", *flac, "-ar", "8000", *brief, video=False, pipe="flac")

    ffmpeg("foreign/raw.aac", "-c:a", "aac", "-b:a", "16k", video=False)
    ffmpeg("foreign/sound.aiff", "-ar", "8000", *brief, video=False)
    ffmpeg("foreign/sound.ac3", "-c:a", "ac3", "-b:a", "32k", "-ar", "32000", *brief, video=False)
    ffmpeg("foreign/sound.caf", "-ar", "8000", *brief, video=False)


def archives():
    trimesh.creation.box().export(path("good/box.glb"))
    scene = trimesh.Scene([trimesh.creation.icosahedron(), trimesh.creation.box()])
    scene.export(path("good/scene.glb"))

    def archive(name, method=zipfile.ZIP_DEFLATED, comment=b""):
        with zipfile.ZipFile(path(name), "w", method) as file:
            file.comment = comment
            file.writestr(zipfile.ZipInfo("a.txt"), "one")
            file.writestr(zipfile.ZipInfo("folder/b.bin"), chance.randbytes(300))

    archive("good/deflated.zip")
    archive("good/stored.zip", zipfile.ZIP_STORED)
    archive("good/comment.zip", comment=b"made for a test, with PK\5\6 in its comment")
    archive("good/lzma.zip", zipfile.ZIP_LZMA)
    with zipfile.ZipFile(path("good/empty.zip"), "w") as file:
        file.comment = b"nothing\n"
    with open(path("good/zip64.zip"), "wb") as file:
        with zipfile.ZipFile(file, "w") as made:
            with made.open(zipfile.ZipInfo("a.txt"), "w", force_zip64=True) as member:
                member.write(b"one")
    with open(path("good/pipe.zip"), "wb") as file:
        made = subprocess.run(["zip", "-q", "-X", "-", "-"], input=b"one", stdout=subprocess.PIPE)
        file.write(made.stdout)

    with gzip.GzipFile(path("foreign/text.gz"), "wb", mtime=0) as file:
        file.write(b"one" * 40)
    with lzma.open(path("foreign/text.xz"), "wb") as file:
        file.write(b"one" * 40)


if __name__ == "__main__":
    os.makedirs(path("good"), exist_ok=True)
    os.makedirs(path("foreign"), exist_ok=True)
    pictures()
    videos()
    sounds()
    archives()
