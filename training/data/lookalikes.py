"""Characters that look like a digit once they are scaled to its size. They are neither trained on nor measured.

We chose them by eye, from 36 samples of each UNIPEN character and all 20 of each Omniglot character. A character is in
the list if a person who expects digits would read about a fifth of its samples as digits. The comments name the digits.
"""

UNIPEN = frozenset(
    "OoQD"  # 0
    "lIi"  # 1; a quarter of the i have no dot
    "|/\\!'`,.;()[]"  # 1; a lone stroke or dot has no meaning without its size
    "Zz"  # 2
    "}"  # 3
    "Ss"  # 5
    "bG"  # 6
    ">"  # 7
    "B&"  # 8
    "qg"  # 9
)
OMNIGLOT = frozenset(
    f"{alphabet}/{number}"
    for alphabet, numbers in {
        "Balinese": (5, 14),  # 7, 2
        "Early_Aramaic": (2, 3, 4, 6, 7, 9, 10, 12, 13, 14, 16, 17, 20),  # 9, 7, 9, 4, 1, 0, 2, 6, 9, 9, 0, 7, 9
        "Greek": (2, 4, 6, 8, 9, 14, 15, 18),  # beta 8, delta 8, zeta 3, theta 8, iota 1, xi 3, omicron 0, sigma 6
        "Japanese_(katakana)": (24, 27, 30, 42, 43, 46),  # no 1, fu 7, ma 7, ro 0, wa 7, wo 7
        "Korean": (21, 22, 27, 28, 33, 37),  # 1, 7, 2, 0, 0, 7
        "Latin": (2, 7, 9, 12, 15, 17, 19, 26),  # b, g, i, l, o, q, s, z
        "Sanskrit": (5, 12, 13, 14, 36, 37),  # 5, 8, 5, 6, 3, 3
        "Tagalog": (3, 16),  # 3, 0
    }.items()
    for number in numbers
)
