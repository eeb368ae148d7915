"""Generated env files: tidy ones that every reader understands, and any bytes at all."""

from __future__ import annotations

from hypothesis import strategies as st

KEYS = ("ALPHA", "BETA_URL", "GAMMA_KEY", "delta", "E2")

LINE_ENDS = st.sampled_from(["\n", "\r\n"])
_WORDS = st.text(st.characters(categories=["Ll", "Lu", "Nd"], include_characters="-_.:/@%&=+é€😀"), max_size=12)
_COMMENTS = st.sampled_from(["", " # old", "  # it's 'quoted' \"here\"", "\t# $x"])

plain_values = _WORDS
quoted_values = st.builds(
    lambda quote, text: quote + text + quote,
    st.sampled_from(["'", '"']),
    st.text(st.characters(categories=["Ll", "Nd"], include_characters=" #-_;,\n€"), max_size=14),
)


@st.composite
def assignments(draw: st.DrawFn) -> str:
    """Return one assignment, with whatever may stand around the key and the value."""
    key = draw(st.sampled_from(KEYS))
    before = draw(st.sampled_from(["", "", "export ", "  "]))
    equals = draw(st.sampled_from(["=", "=", " = ", "= "]))
    value = draw(st.one_of(plain_values, quoted_values))
    return before + key + equals + value + draw(_COMMENTS)


_FILLERS = st.sampled_from(["", "# a comment", "#GAMMA_KEY=commented-out", "# naïve ünïcode"])


@st.composite
def tidy_files(draw: st.DrawFn) -> bytes:
    """Return an env file that all readers can read: CRLF, BOM, duplicates and multi-line values included."""
    end = draw(LINE_ENDS)
    lines = draw(st.lists(st.one_of(assignments(), assignments(), _FILLERS), min_size=1, max_size=8))
    text = "\n".join(lines).replace("\n", end) + draw(st.sampled_from(["", end]))
    return draw(st.sampled_from([b"", b"", b"\xef\xbb\xbf"])) + text.encode()


@st.composite
def wild_files(draw: st.DrawFn) -> bytes:
    """Return bytes made of the pieces that matter to parsers, in any order, with invalid UTF-8 among them."""
    parsed = ["A", "KEY", "=", "=", " ", "\n", "\r\n", "\r", "'", '"', "\\", "#", " #", "export ", "$", "KEY=1\n"]
    odd = ["é", "\xa0", "\x0b", "\x85", "\u2028", "\udcff", "\t", ":", "n", "x y", "``", "# \udcfe\n", "\0"]
    pieces = st.sampled_from([*parsed, *odd])
    bom = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    return bom + "".join(draw(st.lists(pieces, max_size=30))).encode("utf-8", "surrogateescape")


any_values = st.text(
    st.characters(categories=["Ll", "Nd"], include_characters=" '\"`\\\n\t#=$nrt{}()!%&;:/@é\xa0€😀~*?<|"), max_size=12
)
