"""Files that name other files and addresses, in every way we know, and in disguise.

In: the targets to name. Out: bytes of files, none of which may make a decoder open what it names.
"""

import struct
from collections.abc import Mapping

from bench.recordings import wav_head
from tests.hostile.corpus.boxes import box, element, full_box, id3, replaced, riff
from tests.hostile.corpus.targets import Targets
from tests.streams.chunker.recordings import RECIPES, Recipe, media_file, tone

# Identities of objects of ASF.
_ASF_STREAM = bytes.fromhex("b503bf5f2ea9cf118ee300c00c205365")
_ASF_SCRIPT = bytes.fromhex("301afb1e620bd011a39b00a0c90348f6")
_MOV = Recipe(container="mov", codec="aac")
_DREF = (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref")


def _hls(*lines: str) -> bytes:
    return "\n".join(("#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", *lines, "#EXT-X-ENDLIST", "")).encode()


def _playlists(file: str, url: str) -> dict[str, bytes]:
    entry = "#EXTINF:1,"
    plain = _hls(entry, file)
    return {
        "hls-file.m3u8": plain,
        "hls-address.m3u8": _hls(entry, url),
        "hls-file-url.wav": _hls(entry, f"file://{file}"),
        "hls-bom.mp3": b"\xef\xbb\xbf" + plain,
        "hls-after-blank-lines.flac": b"\r\n\r\n  \t\n" + plain,
        "hls-utf-16.mp3": plain.decode().encode("utf-16"),
        "hls-after-id3.mp3": id3((b"TIT2", b"\0song")) + plain,
        "hls-master.m3u8": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{url}\n".encode(),
        "hls-alternative.m3u8": _hls(f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",URI="{url}"', entry, file),
        "hls-key.m3u8": _hls(f'#EXT-X-KEY:METHOD=AES-128,URI="{url}"', entry, file),
        "hls-map.m3u8": _hls(f'#EXT-X-MAP:URI="{file}"', entry, url),
        "hls-concat-protocol.m4a": _hls(entry, f"concat:{file}|{url}"),
        "hls-subfile.m4a": _hls(entry, f"subfile,,start,0,end,99999,,:{file}"),
        "hls-crypto.m4a": _hls(entry, f"crypto+{url}", entry, f"crypto:{file}"),
        "hls-data.m4a": _hls(entry, "data:audio/x-mpegurl;base64,I0VYVE0zVQo=", entry, f"async:{file}"),
        "hls-cache.ogg": _hls(entry, f"cache:{url}", entry, f"unix:{file}", entry, f"tcp://127.0.0.1:{_port(url)}"),
        "list.m3u": f"#EXTM3U\n#EXTINF:1,a\n{file}\n{url}\n".encode(),
        "list.pls": f"[playlist]\nFile1={file}\nFile2={url}\nNumberOfEntries=2\nVersion=2\n".encode(),
        "list.asx": f'<asx version="3.0"><entry><ref href="{url}"/></entry></asx>'.encode(),
        "list.wax": f"[Reference]\r\nRef1={url}\r\nRef2={file}\r\n".encode(),
        "list.xspf": _xml(f"<playlist><trackList><track><location>{url}</location></track></trackList></playlist>"),
        "list.ram": f"{url}\n{file}\n".encode(),
        "list.cue": f'FILE "{file}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n'.encode(),
        "list.smil": _xml(f'<smil><body><audio src="{url}"/></body></smil>'),
    }


def _port(url: str) -> str:
    return url.split(":")[2].split("/")[0]


def _xml(body: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>{body}'.encode()


def _manifests(file: str, url: str) -> dict[str, bytes]:
    mpd = '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT1S"><Period>'
    mpd += '<AdaptationSet mimeType="audio/mp4"><Representation id="a" bandwidth="1"><BaseURL>{}</BaseURL>'
    mpd += '<SegmentList><SegmentURL media="{}"/></SegmentList></Representation></AdaptationSet></Period></MPD>'
    return {
        "dash-file.mpd": _xml(mpd.format(f"file://{file}", file)),
        "dash-address.mp4": _xml(mpd.format(url, url)),
        "smooth.ism": _xml(f'<SmoothStreamingMedia Url="{url}"/>'),
        "adobe.f4m": _xml(f'<manifest><media url="{url}"/></manifest>'),
        "imf.cpl.xml": _xml(f"<CompositionPlaylist><Path>{file}</Path></CompositionPlaylist>"),
        "entity.xspf": _xml(f'<!DOCTYPE x [<!ENTITY e SYSTEM "file://{file}">]><playlist>&e;</playlist>'),
        "image.svg": _xml(f'<svg xmlns:xlink="http://www.w3.org/1999/xlink"><image xlink:href="{url}"/></svg>'),
        "session.sdp": (
            f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
            f"m=audio {_port(url)} RTP/AVP 0\na=control:{url}\n"
        ).encode(),
    }


def _scripts(file: str, url: str) -> dict[str, bytes]:
    head = "ffconcat version 1.0\n"
    relative = file.removeprefix("/")
    return {
        "concat-absolute.ffconcat": f"{head}file {file}\n".encode(),
        "concat-relative.wav": f"{head}file {relative}\n".encode(),
        "concat-address.mp3": f"{head}file '{url}'\n".encode(),
        "concat-file-url.wav": f"{head}file 'file:{file}'\nduration 1\n".encode(),
        "concat-option.wav": f"{head}option safe 0\nfile {file}\noption protocol_whitelist file\n".encode(),
        "concat-bom.wav": f"\ufeff{head}file {relative}\n".encode(),
        "concat-after-id3.mp3": id3((b"TIT2", b"\0song")) + f"{head}file {relative}\n".encode(),
        "script.avs": f'WavSource("{file}")\n'.encode(),
        "frames.ffmeta": f";FFMETADATA1\ntitle={file}\n".encode(),
        "shell.wav": f"#!/bin/sh\ncat {file}; curl {url}\n".encode(),
    }


def _alias(file: str) -> bytes:
    """A Macintosh alias record that names a file by its path."""
    name = file.rsplit("/", 1)[-1].encode()[:63]
    record = bytes(4) + struct.pack(">HH", 150, 2) + bytes(2) + b"\x04disk".ljust(28, b"\0") + bytes(14)
    record += bytes([len(name)]) + name.ljust(63, b"\0") + bytes(16) + struct.pack(">hh", 1, 1) + bytes(14)
    path = file.encode()
    return record + struct.pack(">HH", 18, len(path)) + path + b"\0" * (len(path) % 2) + struct.pack(">HH", 0xFFFF, 0)


def _elsewhere(*entries: bytes) -> bytes:
    """A MOV file whose sound lies where its data references say."""
    dref = full_box(b"dref", struct.pack(">I", len(entries)), *entries)
    return replaced(media_file(tone(500), _MOV), _DREF, dref)


def _containers(file: str, url: str) -> dict[str, bytes]:
    wav = media_file(tone(300), RECIPES["wav"])
    flac = media_file(tone(300), RECIPES["flac"])
    picture = b"-->\0\x03\0" + url.encode()
    block = struct.pack(">II", 3, 3) + b"-->" + struct.pack(">I", 0) + bytes(16)
    block += struct.pack(">I", len(url)) + url.encode()
    linked = element(b"\x3c\xb9\x23", bytes(16)) + element(b"\x3c\x83\xab", file.encode())
    linked += element(b"\x3e\xb9\x23", bytes(16)) + element(b"\x3e\x83\xbb", file.encode())
    matroska = element(b"\x1a\x45\xdf\xa3", element(b"\x42\x82", b"matroska"))
    matroska += element(b"\x18\x53\x80\x67", element(b"\x15\x49\xa9\x66", linked))
    script = struct.pack("<IHH", 1, 4, len(url)) + "URL".encode("utf-16-le") + url.encode("utf-16-le")
    return {
        "reference-movie.mov": box(b"ftyp", b"qt  " + bytes(8))
        + box(
            b"moov", box(b"rmra", box(b"rmda", full_box(b"rdrf", b"url ", struct.pack(">I", len(url)), url.encode())))
        ),
        "dref-url.mov": _elsewhere(full_box(b"url ", url.encode() + b"\0")),
        "dref-file.mov": _elsewhere(full_box(b"url ", f"file://{file}\0".encode())),
        "dref-alias.mov": _elsewhere(full_box(b"alis", _alias(file))),
        "linked-segments.mkv": matroska,
        "script-command.wma": media_file(tone(300), RECIPES["wma"]).replace(_ASF_STREAM, _ASF_SCRIPT + script, 1),
        "redirect.asf": b"ASF " + url.encode(),
        "linked-picture.mp3": id3(
            (b"APIC", picture), (b"WXXX", b"\0\0" + url.encode()), (b"LINK", b"APIC" + url.encode())
        )
        + media_file(tone(300), RECIPES["mp3"]),
        # After the first block of the head, which is never its last here.
        "linked-picture.flac": flac[:42] + b"\x06" + len(block).to_bytes(3, "big") + block + flac[42:],
        "cue-list.wav": wav_head(9_600) + wav[44:] + riff(b"LIST", b"adtl" + riff(b"file", bytes(8) + file.encode())),
    }


def references(targets: Targets) -> Mapping[str, bytes]:
    """Every file that names a target."""
    file, url = str(targets.file), targets.url
    parts = (_playlists, _manifests, _scripts, _containers)
    return {name: data for part in parts for name, data in part(file, url).items()}
