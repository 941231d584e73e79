"""Kinds of signs and drawings that look like a digit once they are scaled to its size, by data set.

They are neither trained on nor measured. We chose them by eye, from 36 samples of each UNIPEN character, all 20 of each
Omniglot character, and two to four drawings of each kind of the other sets. A character is in the list if a person who
expects digits would read about a fifth of its samples as digits. The comments name the digits.
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
# Detexify's symbols, by the name of their command without its package and "text".
SYMBOLS = frozenset(
    (
        # 0
        "O Phi Sun Theta astrosun baro bigcirc bigcircle bigodot bullet bullseye cdot cdotp centerdot circ "
        "circlearrowleft circlearrowright circledcirc circleddash clock degree emptyset fullmoon invdiameter "
        "ldotp lozenge mathcal-lbrace-D-rbrace mathcal-lbrace-O-rbrace mathcal-lbrace-Q-rbrace "
        "mathds-lbrace-D-rbrace mathds-lbrace-O-rbrace mathds-lbrace-Q-rbrace mathfrak-lbrace-D-rbrace "
        "mathfrak-lbrace-O-rbrace mathfrak-lbrace-Q-rbrace mathfrak-lbrace-a-rbrace mathfrak-lbrace-o-rbrace "
        "mathscr-lbrace-D-rbrace mathscr-lbrace-O-rbrace newmoon o ocircle odot ominus openbullet ordfeminine "
        "ordmasculine oslash phi recorder scripta theta turnscripta varnothing "
        # 1
        "16socis Lambda Lsh backprime backslash bar bari barl brokenbar brokenvert diagdown diagup downarrow "
        "downstep ell esh exclamdown fishhookr fractionsolidus halflength iota jmath l lbracket lfloor "
        "lhtlongi llcorner longlegr ltilde mathbb-lbrace-1-rbrace mathcal-lbrace-I-rbrace "
        "mathcal-lbrace-J-rbrace mathcal-lbrace-L-rbrace mathds-lbrace-I-rbrace mathds-lbrace-J-rbrace "
        "mathds-lbrace-L-rbrace mathfrak-lbrace-J-rbrace mathfrak-lbrace-j-rbrace mathscr-lbrace-I-rbrace "
        "mathscr-lbrace-J-rbrace mathscr-lbrace-L-rbrace mid onesuperior palhook pipe prime primstress "
        "quotesinglbase quotesingle quotestraightbase rbag rbracket revapostrophe rfloor rtaill sci scl "
        "secstress setminus shortdownarrow shortmid shortuparrow slash smallsetminus symbol-epr69x "
        "toneletterstem uparrow upharpoonright upstep vertline wedge wr "
        # 2
        "barglotstop commatailz crtwo ctz glotstop mathcal-lbrace-Z-rbrace mathds-lbrace-Z-rbrace "
        "mathfrak-lbrace-Z-rbrace mathscr-lbrace-Z-rbrace nexists partial raiseglotstop "
        # 3
        "braceright ctyogh lyoghlig ni rbrace revepsilon rhookrevepsilon rquill threesuperior xi yogh zeta "
        # 4
        "Jupiter jupiter lhtlongy turnh turny "
        # 5
        "Saturn barrevglotstop invglotstop mathcal-lbrace-S-rbrace mathds-lbrace-S-rbrace "
        "mathfrak-lbrace-S-rbrace mathfrak-lbrace-s-rbrace mathscr-lbrace-S-rbrace revyogh rtails saturn surd "
        "varsigma "
        # 6
        "ctc flat htb mathcal-lbrace-G-rbrace mathds-lbrace-G-rbrace mathfrak-lbrace-C-rbrace "
        "mathfrak-lbrace-E-rbrace mathfrak-lbrace-G-rbrace mathfrak-lbrace-b-rbrace mathscr-lbrace-G-rbrace "
        "schwa sigma varrho "
        # 7
        "Rsh corner greater guilsinglright lnot neg rangle tau urcorner "
        # 8
        "EyesDollar Olyoghlig S Taurus ampersand beta closeepsilon closerevepsilon colon ctesh dollar "
        "dollaroldstyle lengthmark mathcal-lbrace-B-rbrace mathdollar mathds-lbrace-B-rbrace "
        "mathfrak-lbrace-B-rbrace mathsection parr scb section ss taurus with "
        # 9
        "barg crg g htg htq mathfrak-lbrace-g-rbrace mathfrak-lbrace-q-rbrace mathparagraph paragraph reve "
        "rho rhookschwa scriptg wynn "
        # one of several
        "delta quoteleft quoteright "
    ).split()
)
# Quick, Draw!'s categories.
DOODLES = frozenset(
    (
        # 0
        "baseball basketball belt blueberry bread circle compass cookie donut flying_saucer hexagon hot_dog "
        "moon octagon onion paper_clip peas pillow pond pool potato soccer_ball steak toe wheel "
        # 1
        "asparagus baseball_bat bench cactus candle carrot clarinet crayon hockey_stick knife line marker "
        "matches nail paintbrush pencil popsicle river screwdriver skyscraper string_bean syringe toothbrush "
        # 2
        "duck flamingo roller_coaster swan "
        # 3
        "bird "
        # 6
        "foot saxophone sock "
        # 8
        "bowtie eyeglasses hourglass peanut snowman "
        # 9
        "headphones hot_air_balloon lollipop spoon tennis_racquet "
        # one of several
        "finger axe boomerang floor_lamp knee rifle streetlight snake nose ear garden_hose hurricane snail lightning "
        "squiggle zigzag "
    ).split()
)
# Typed letters and signs, and CoMNIST's capital letters. Question marks, soft and hard signs and digits in a circle
# also look like digits, but they are trained on: the service must refuse them.
GLYPHS = frozenset(
    "DOQoΘΦθφ∂∅⓪◉○◌◎●◐◑◒◓"  # 0
    "!IJLijlι↑↓∫"  # 1
    "Zz"  # 2
    "ζξЗЭзэє"  # 3
    "yЧч"  # 4
    "Ss§ς"  # 5
    "GbδσБб♭"  # 6
    ">Tτ"  # 7
    "$&Bβв∞🎱"  # 8
    "Pgqρ"  # 9
)
GESTURES = frozenset(("caret", "circle"))  # 1 with a long upstroke, 0
