"""
Makes compiled libraries smaller: removes what the dynamic loader does not read.

An ELF file's program headers list the parts that are loaded. Wheels have symbols for debuggers
after them, up to nine tenths of the file, and the section headers that describe them. This leaves
out both; so does `sstrip` of ELFkickers. The layout is that of the System V ABI, chapters 4 and 5:
https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html
"""

from __future__ import annotations

import struct
from pathlib import Path

MAGIC = b"\x7fELF\x02\x01"
"""ELF of 64 bits, little-endian: both of Lambda's architectures."""

HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")


def strip_file(path: Path) -> None:
    """Write a library again without what is not loaded; leave any other file as it is."""
    data = path.read_bytes()
    if data.startswith(MAGIC):
        path.write_bytes(stripped(data))


def stripped(data: bytes) -> bytes:
    """The ELF file up to the end of the last part that is loaded, without section headers."""
    fields = list(HEADER.unpack_from(data))
    start, size, count = fields[5], fields[9], fields[10]
    end = start + size * count
    for number in range(count):
        header = PROGRAM_HEADER.unpack_from(data, start + size * number)
        offset, length = header[2], header[5]
        end = max(end, offset + length)
    fields[6] = fields[12] = fields[13] = 0  # e_shoff, e_shnum, e_shstrndx
    return HEADER.pack(*fields) + data[HEADER.size : end]
