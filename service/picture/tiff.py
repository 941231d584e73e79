"""The directories of a TIFF, https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf, as far as they cost work.

Pillow unpacks the values of tags one by one in Python, and libtiff every strip or tile that the directory points to.
"""

import struct

from .errors import InvalidImage

MOST_TAGS = 1_000  # in a directory; an ordinary one has about 20
MOST_VALUES = 20_000  # of a tag: a strip for each row of a large picture is the most that is ever needed
WIDTH, HEIGHT, COMPRESSION, SAMPLES, PLANAR = 256, 257, 259, 277, 284
OFFSETS, ROWS, COUNTS = 273, 278, 279  # of strips
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS = 322, 323, 324, 325
DIRECTORIES = 34665, 34853, 40965  # tags that point to further directories: Exif, GPS and Interoperability
TYPES = {1: "B", 2: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q"}
RATIONAL = {5: "II", 10: "ii"}
BLOBS = 1, 2, 7  # types whose values Pillow leaves packed
Value = tuple[str, int, int]  # struct's format of one value, how many there are, and where


class Tiff:
    """Attributes: width and height, in pixels, to which the decoder fills the picture; jpeg_streams: how many strips
    or tiles are JPEG streams of their own, 0 if none is.

    Raises InvalidImage for a directory with more in it than a picture needs, struct.error for a damaged one.
    """

    width: int
    height: int
    jpeg_streams: int

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._order = "<" if data.startswith(b"II") else ">"
        self._big = data[2] == 43
        tags = self._directory(*self._unpack("Q" if self._big else "I", 8 if self._big else 4))
        for tag in DIRECTORIES:
            if tag in tags:
                self._directory(self._first(tags, tag))
        self.width, self.height = self._first(tags, WIDTH), self._first(tags, HEIGHT)
        wide, high = self.width, min(self._first(tags, ROWS, self.height), self.height)
        offsets, counts = OFFSETS, COUNTS
        if TILE_WIDTH in tags or TILE_OFFSETS in tags:
            wide, high = self._first(tags, TILE_WIDTH), self._first(tags, TILE_HEIGHT)
            offsets, counts = TILE_OFFSETS, TILE_COUNTS
        wide, high = max(wide, 1), max(high, 1)
        across, down = -(-self.width // wide), -(-self.height // high)
        planes = self._first(tags, SAMPLES, 1) if self._first(tags, PLANAR, 1) == 2 else 1
        parts = tags[offsets][1] if offsets in tags else 1
        if parts > max(across * down * planes, 1):  # the decoder would start again at the top
            raise InvalidImage("The image has more strips or tiles than its size allows.")
        # Parts may share bytes: 20,000 that point to the same 10 MB would unpack them 20,000 times.
        if counts in tags and sum(self._values(tags[counts])) > 2 * len(data):
            raise InvalidImage("The strips or tiles of the image have more bytes than the upload.")
        if offsets == TILE_OFFSETS:  # a tile is decoded whole, also where it reaches beyond the picture
            self.width, self.height = across * wide, down * high
        self.jpeg_streams = parts if self._first(tags, COMPRESSION, 1) in (6, 7) else 0

    def _unpack(self, kind: str, at: int) -> tuple[int, ...]:
        return struct.unpack_from(self._order + kind, self._data, at)

    def _directory(self, at: int) -> dict[int, Value]:
        """The tags of a directory at a place in the file."""
        (count,) = self._unpack("Q" if self._big else "H", at)
        if count > MOST_TAGS:
            raise InvalidImage(f"The image has more than {MOST_TAGS} tags; save it again without metadata.")
        at += 8 if self._big else 2
        size, inline = (20, 8) if self._big else (12, 4)
        tags: dict[int, Value] = {}
        for place in range(at, at + count * size, size):
            tag, kind, number = self._unpack("HHQ" if self._big else "HHI", place)
            if tag in tags:  # Pillow takes the first, and libtiff may take another
                raise InvalidImage("The image has the same tag twice in one directory.")
            if number > MOST_VALUES and kind not in BLOBS:
                raise InvalidImage(f"The image has a tag of more than {MOST_VALUES} values; save it with fewer strips.")
            letters = TYPES.get(kind) or RATIONAL.get(kind, "B")
            value = place + size - inline
            if struct.calcsize(self._order + letters) * number > inline:
                (value,) = self._unpack("Q" if self._big else "I", value)
            tags[tag] = letters, number, value
        return tags

    def _values(self, value: Value) -> tuple[int, ...]:
        letters, number, at = value
        return self._unpack(letters * number, at)

    def _first(self, tags: dict[int, Value], tag: int, otherwise: int = 0) -> int:
        """The first value of a tag, `otherwise` if there is none."""
        letters, number, at = tags.get(tag, ("B", 0, 0))
        return int(self._unpack(letters, at)[0]) if number else otherwise
