"""Names, keys and terms as clients send them: what is kept of them is one line that can be put anywhere."""

from email.message import Message

from hypothesis import given, settings

from api.intake.names import MAX_NAME_CHARS, clean_name, disposition_name
from api.intake.options import MAX_TERM_CHARS, read_options
from api.refusals import Invalid
from api.requests.idempotency import MAX_KEY_CHARS, bare_key
from api.transcripts import disposition
from runtime.errors import Refused
from tests.hostile.texts import HOSTILE_TEXT, STRINGS


@given(HOSTILE_TEXT)
@settings(max_examples=STRINGS, deadline=None)
def test_what_is_kept_is_one_line(text: str) -> None:
    # Made once and put everywhere: making it takes longer.
    _a_file_name_is_a_printable_name_without_folders(text)
    _an_export_is_named_in_one_header_that_gives_the_name_back(text)
    _a_key_is_printable_or_refused(text)
    _terms_are_printable_or_refused(text)


def _a_file_name_is_a_printable_name_without_folders(text: str) -> None:
    for kept in (clean_name(text), disposition_name(f'attachment; filename="{text}"')):
        assert kept is None or (kept.isprintable() and 0 < len(kept) <= MAX_NAME_CHARS)
        assert not {"/", "\\"} & set(kept or "")


def _an_export_is_named_in_one_header_that_gives_the_name_back(text: str) -> None:
    stem = clean_name(text) or "job"
    header = disposition(stem, "srt")
    assert header.isascii()
    assert header.isprintable()
    message = Message()
    message["Content-Disposition"] = header.partition("; ")[0] + "; " + header.rpartition("; ")[2]
    assert message.get_filename() == f"{stem}.srt"


def _a_key_is_printable_or_refused(text: str) -> None:
    try:
        kept = bare_key(text)
    except Refused as refusal:
        assert refusal.code == "invalid_request"
        return
    assert kept is not None
    assert kept.isprintable()
    assert 0 < len(kept) <= MAX_KEY_CHARS


def _terms_are_printable_or_refused(text: str) -> None:
    try:
        terms = read_options([("vocabulary", text)], "body").vocabulary
    except Invalid:
        return
    assert all(term.isprintable() and 0 < len(term) <= MAX_TERM_CHARS and "," not in term for term in terms)
