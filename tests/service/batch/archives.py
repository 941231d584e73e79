"""Archives for tests, and what is read in them."""

import io
import tarfile

from service.batch.sources import Reader, find

LIMIT = 100  # bytes of an image


def images(*sources, limit=LIMIT, **limits):
    with Reader(limit, **limits) as reader:
        return [image for piece in find(map(str, sources), reader) for image in reader.images(piece)]


def pack(path, *members):
    """Write a tar archive of names with their contents; instead of its content, a member may have a type."""
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            if content in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
                entry.type, entry.linkname, content = content, "a.png", b""
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
