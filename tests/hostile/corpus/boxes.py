"""The bricks of containers: boxes of MP4, elements of Matroska, pages of Ogg, frames of FLAC, tags of ID3.

In: fields. Out: bytes, also where the fields lie. Knows no file as a whole.
"""

import struct
from collections.abc import Iterator
from itertools import count


def box(kind: bytes, *content: bytes) -> bytes:
    """A box of MP4 or MOV."""
    body = b"".join(content)
    return struct.pack(">I", 8 + len(body)) + kind + body


def full_box(kind: bytes, *content: bytes, flags: int = 0) -> bytes:
    """A box with a version of 0 and flags."""
    return box(kind, struct.pack(">I", flags), *content)


def find_box(data: bytes, *path: bytes) -> tuple[int, int]:
    """Where a box begins and ends; the path names its parents."""
    start, end = 0, len(data)
    for depth, kind in enumerate(path):
        at = start + (8 if depth else 0)
        while data[at + 4 : at + 8] != kind:
            size = int.from_bytes(data[at : at + 4], "big")
            assert size >= 8 and at + size < end, f"no {kind!r}"
            at += size
        start, end = at, at + int.from_bytes(data[at : at + 4], "big")
    return start, end


def replaced(data: bytes, path: tuple[bytes, ...], new: bytes) -> bytes:
    """The file with another box in that place; all boxes around it grow with it, so `moov` must come last."""
    start, end = find_box(data, *path)
    changed = bytearray(data[:start] + new + data[end:])
    for depth in range(1, len(path)):
        at, _ = find_box(data, *path[:depth])
        size = int.from_bytes(changed[at : at + 4], "big") + len(new) - (end - start)
        changed[at : at + 4] = size.to_bytes(4, "big")
    return bytes(changed)


def element(identity: bytes, content: bytes) -> bytes:
    """An element of Matroska, its length in eight bytes."""
    return identity + (len(content) | 1 << 56).to_bytes(8, "big") + content


def id3(*frames: tuple[bytes, bytes]) -> bytes:
    """An ID3v2.3 tag."""
    body = b"".join(name + struct.pack(">IH", len(value), 0) + value for name, value in frames)
    size = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\x00\x00" + size + body


def riff(kind: bytes, content: bytes) -> bytes:
    """A chunk of a RIFF file, padded."""
    return kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def _table(polynomial: int, width: int) -> tuple[int, ...]:
    top, mask = 1 << (width - 1), (1 << width) - 1
    made = []
    for byte in range(256):
        value = byte << (width - 8)
        for _ in range(8):
            value = (value << 1 ^ polynomial) & mask if value & top else value << 1 & mask
        made.append(value)
    return tuple(made)


_CRC8, _CRC16, _CRC32 = _table(0x07, 8), _table(0x8005, 16), _table(0x04C11DB7, 32)


def _crc(data: bytes, table: tuple[int, ...], width: int) -> int:
    value, mask = 0, (1 << width) - 1
    for byte in data:
        value = (value << 8 & mask) ^ table[value >> (width - 8) ^ byte]
    return value


def ogg_page(packets: list[bytes], serial: int, sequence: int, granule: int, flags: int) -> bytes:
    """A page of whole packets, each shorter than 255 bytes."""
    head = b"OggS\0" + struct.pack("<BqIII", flags, granule, serial, sequence, 0) + bytes([len(packets)])
    page = bytearray(head + bytes(map(len, packets)) + b"".join(packets))
    page[22:26] = struct.pack("<I", _crc(bytes(page), _CRC32, 32))
    return bytes(page)


def flac_head(rate_hz: int, total_samples: int) -> bytes:
    """The beginning of a FLAC file of 16 bits and one channel, with whatever length it claims."""
    packed = rate_hz << 44 | 0 << 41 | 15 << 36 | total_samples
    info = struct.pack(">HH", 65_535, 65_535) + bytes(6) + packed.to_bytes(8, "big") + bytes(16)
    return b"fLaC\x80" + len(info).to_bytes(3, "big") + info


def flac_silence(seconds: int, rate_hz: int) -> Iterator[bytes]:
    """Frames of silence: 65,535 samples in about a dozen bytes."""
    for number in count():
        if number * 65_535 >= seconds * rate_hz:
            return
        # fixed block size, its length in 16 bits, rate and bits as the head says, one channel
        head = b"\xff\xf8\x70\x08" + _long_utf8(number) + struct.pack(">H", 65_534)
        frame = head + bytes([_crc(head, _CRC8, 8)]) + b"\x00\x00\x00"
        yield frame + struct.pack(">H", _crc(frame, _CRC16, 16))


def _long_utf8(number: int) -> bytes:
    return chr(number).encode("utf-8", "surrogatepass")
