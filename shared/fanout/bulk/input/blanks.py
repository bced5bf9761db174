"""
Which characters are blank: the page has the same ones, in `page/jobs/blanks.js`. Pure.

They are those of Python's `str.strip`, which has U+0085 and U+001C to U+001F, and U+FEFF, which
JavaScript's `trim` has.
"""

from __future__ import annotations

BLANKS = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
    "\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
)


def stripped(text: str) -> str:
    """The text without blanks at its start and end."""
    return text.strip(BLANKS)


def is_blank(text: str) -> bool:
    """Whether the text has no other character."""
    return not text.strip(BLANKS)
