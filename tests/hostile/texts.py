"""Text that somebody hopes will be taken for something else.

In: nothing. Out: strategies that make it.
"""

import os

from hypothesis import strategies as st

# Strings for each place where one can be put; `make hostile-text` takes more.
STRINGS = int(os.environ.get("PALIMPSEST_TEST_STRINGS", "2000"))

TRICKS = (
    "-->",
    "\n\n2\n00:00:00,000 --> 00:00:09,000\nforged",
    "\r\n\r\nWEBVTT\r\n\r\n",
    "NOTE x",
    "STYLE\n::cue{}",
    "<v Judge>",
    "</v>",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "{\\an8}",
    "&lt;",
    "&#10;",
    "[00:00:01] Judge: ",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "@SUM(A1)",
    '","x":"',
    "\\u0000",
    "\u202e",
    "\u2028",
    "\u2029",
    "\u0085",
    "\x1b[2J\x1b]0;owned\x07",
    "\x00",
    "\ue000\ue001",
    "\ufeff",
    "../../x",
    "'; DROP TABLE job_state; --",
    "${jndi:ldap://x}",
    "%s%n",
    "CON",
    "長い文",
    "🎧",
    "x" * 90,
    " ",
    "Anna: ",
)
HOSTILE_TEXT = st.lists(st.sampled_from(TRICKS) | st.text(max_size=12), max_size=8).map("".join)
