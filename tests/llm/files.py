"""Small files of the kinds that people send."""

import struct
import zlib

OGG = b"OggS\0\x02" + bytes(22) + b"OpusHead" + bytes(50)
MP3 = b"ID3\x03" + bytes(50)
MP4 = b"\0\0\0\x18ftypisom"
M4A = b"\0\0\0\x18ftypM4A "
PDF = b"%PDF-1.7\n%" + bytes(range(128, 160))


def png(width: int = 2, height: int = 3, size_bytes: int = 0) -> bytes:
    """A picture of its size in pixels, as far as its head says, and in bytes."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    made = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    return made + bytes(max(0, size_bytes - len(made)))


JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffc0000b080010001001011100ffd9")
GIF = b"GIF89a\x02\0\x03\0\0\0\0" + b"\x21\xf9\x04\0\0\0\0\0" + bytes(9)
WEBP = b"RIFF\x22\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x01\0\0\x02\0\0" + bytes(8)
