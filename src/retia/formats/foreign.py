"""Files that are no nets of Retia, told by their first bytes. None of them is opened, only named."""

from __future__ import annotations

START = 128
"""So many of the first bytes are looked at."""

MAGIC = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as old Keras writes (.h5)"),
    (b"GGUF", "a GGUF file"),
    (b"\x93NUMPY", "a NumPy array (.npy)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"\x7fELF", "a program"),
    (b"\x89PNG", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    (b"%PDF", "a PDF document"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself (git lfs pull fetches it)"),
    (b"<", "an HTML or XML page"),
)


def recognise(start: bytes, name: str) -> str | None:
    """What a file is, by its first bytes and its name; None if nothing tells.

    Example:
        >>> recognise(b"GGUF\\x03", "net.safetensors")
        'a GGUF file'
    """
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _archive(start)
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "a pickle (a .pt or .pkl file), which is a program"
    for magic, kind in MAGIC:
        if start.startswith(magic):
            return kind
    if name.lower().endswith(".onnx") or (start[:1] == b"\x08" and start[2:3] == b"\x12"):
        return "an ONNX file"
    return None


def _archive(start: bytes) -> str:
    member = start[30 : 30 + int.from_bytes(start[26:28], "little")]
    if member.endswith((b"data.pkl", b".format_version", b"/byteorder", b"/version")):
        return "a PyTorch archive (.pt), which holds a pickle"
    if member in (b"metadata.json", b"config.json") or member.endswith(b".weights.h5"):
        return "a Keras archive (.keras)"
    return "a zip archive (as .pt, .keras and .npz files are)"
