"""Reading: jobs, transcripts, segments and speakers, for their tenant and for nobody else."""

import httpx
import pytest

from api.cursors import Cursors
from schemas import records
from tests.api.conftest import Server
from tests.api.test_problems import check_problem
from tests.projections.facts import Job, conversation

ROUTES = (
    ("GET", ""),
    ("GET", "/transcript"),
    ("GET", "/segments"),
    ("GET", "/segments/s5-1"),
    ("GET", "/speakers"),
    ("GET", "/events"),
    ("GET", "/archive"),
    ("PATCH", "/segments/s5-1"),
    ("PUT", "/speakers/spk1"),
    ("POST", "/speakers/spk1/merge"),
    ("POST", "/cancel"),
    ("POST", "/retry"),
    ("POST", "/feedback"),
    ("DELETE", ""),
)
BODIES = {
    "PATCH/segments/s5-1": {"text": "new"},
    "PUT/speakers/spk1": {"name": "Ada"},
    "POST/speakers/spk1/merge": {"into": "spk2"},
    "POST/feedback": {"rating": 5},
}


def _ask(client: httpx.Client, job_id: str, method: str, rest: str) -> httpx.Response:
    return client.request(
        method, f"/v1/transcriptions/{job_id}{rest}", json=BODIES.get(method + rest), headers={"If-Match": "*"}
    )


@pytest.mark.parametrize(("method", "rest"), ROUTES)
def test_what_belongs_to_another_tenant_is_unknown(
    server: Server, stranger: httpx.Client, method: str, rest: str
) -> None:
    server.show(*(job := conversation(1)).facts)
    check_problem(_ask(stranger, job.job_id, method, rest), 404, "not_found")


@pytest.mark.parametrize(("method", "rest"), ROUTES)
def test_what_was_erased_is_gone_for_its_tenant_and_unknown_to_others(
    server: Server, client: httpx.Client, stranger: httpx.Client, method: str, rest: str
) -> None:
    job = conversation(2)
    job.erased()
    server.show(*job.facts)
    check_problem(_ask(client, job.job_id, method, rest), 410, "gone")
    check_problem(_ask(stranger, job.job_id, method, rest), 404, "not_found")


def test_every_route_of_a_job_is_in_the_matrix(client: httpx.Client) -> None:
    paths = client.get("/schema/openapi.json").json()["paths"]
    found = {
        (method.upper(), path.removeprefix("/v1/transcriptions/{job_id}"))
        for path, item in paths.items()
        if path.startswith("/v1/transcriptions/{job_id}")
        for method in ("get", "post", "put", "patch", "delete")
        if method in item
    }
    tried = {(method, rest.replace("s5-1", "{segment_id}").replace("spk1", "{speaker_id}")) for method, rest in ROUTES}
    assert found == tried


def test_a_finished_job_shows_everything(server: Server, client: httpx.Client) -> None:
    server.show(*(job := conversation(3)).facts)
    answer = client.get(f"/v1/transcriptions/{job.job_id}")
    shown = answer.json()
    assert (shown["status"], shown["stage"], shown["progress"]) == ("completed", "done", 1.0)
    assert (shown["segment_count"], shown["version"]) == (3, len(job.facts))
    assert [speaker["id"] for speaker in shown["speakers"]] == ["spk1", "spk2"]
    assert shown["duration_seconds"] == 60.0 and shown["created_at"].endswith("Z")
    assert answer.headers["etag"] == f'W/"{len(job.facts)}"' and "retry-after" not in answer.headers


def test_a_transcript_comes_in_any_format(server: Server, client: httpx.Client) -> None:
    server.show(*(job := conversation(4)).facts)
    address = f"/v1/transcriptions/{job.job_id}/transcript"
    whole = client.get(address)
    assert whole.json()["segments"][0]["text"] == "The quick brown fox"
    assert set(whole.json()) >= {"id", "language", "duration", "text", "speakers", "segments", "version"}
    for name, start in (("srt", "1\n"), ("vtt", "WEBVTT"), ("txt", ""), ("json", "{")):
        answer = client.get(address, params={"format": name})
        assert answer.status_code == 200 and answer.text.lstrip("\ufeff").startswith(start)
        assert f'filename="talk.{name}"' in answer.headers["content-disposition"]
        by_accept = client.get(address, headers={"Accept": answer.headers["content-type"].partition(";")[0]})
        assert by_accept.content == answer.content
    check_problem(client.get(address, headers={"Accept": "image/png"}), 406, "not_acceptable")


def test_a_file_name_cannot_break_the_header(server: Server, client: httpx.Client) -> None:
    job = Job(5)
    job.accepted('na"ïve%\\x.wav')
    job.completed()
    server.show(*job.facts)
    header = client.get(f"/v1/transcriptions/{job.job_id}/transcript").headers["content-disposition"]
    assert header.count('"') == 2 and "filename*=UTF-8''na%22%C3%AFve" in header


def test_without_a_transcript_there_is_a_conflict(server: Server, client: httpx.Client) -> None:
    job = Job(6)
    job.accepted()
    server.show(*job.facts)
    check_problem_code(client.get(f"/v1/transcriptions/{job.job_id}/transcript"), "no_transcript")


def check_problem_code(answer: httpx.Response, code: str) -> None:
    """A conflict of state with a finer code."""
    assert (answer.status_code, answer.json()["code"]) == (409, code), answer.text
    assert answer.json()["type"] == "/problems/conflict"


def test_segments_come_page_by_page(server: Server, client: httpx.Client) -> None:
    server.show(*(job := conversation(7)).facts)
    first = client.get(f"/v1/transcriptions/{job.job_id}/segments?limit=2")
    assert [segment["id"] for segment in first.json()["items"]] == ["s5-1", "s5-2"]
    following = client.get(first.links["next"]["url"])
    assert [segment["id"] for segment in following.json()["items"]] == ["s5-3"]
    assert following.json()["next_cursor"] is None and "link" not in following.headers
    one = client.get(f"/v1/transcriptions/{job.job_id}/segments/s5-2")
    assert one.json() == first.json()["items"][1] and one.headers["etag"] == '"5"'
    assert one.json()["speaker"] == "Speaker 2" and one.json()["words"][0]["timing"] == "aligned"


@pytest.mark.parametrize("segment_id", ["s99-1", "%00", "s5-1%00", "%ff", "s5-1%0a"])
def test_a_segment_that_is_none_is_unknown(server: Server, client: httpx.Client, segment_id: str) -> None:
    server.show(*(job := conversation(5)).facts)
    where = f"/v1/transcriptions/{job.job_id}/segments/{segment_id}"
    check_problem(client.get(where), 404, "not_found")
    check_problem(client.patch(where, json={"text": "new"}, headers={"If-Match": "*"}), 404, "not_found")


def test_jobs_come_page_by_page_newest_first(server: Server) -> None:
    with server.client("pages") as client:
        for number in range(101, 106):
            server.show(*conversation(number, "pages").facts)
        seen, address = [], "/v1/transcriptions?limit=2"
        while address:
            answer = client.get(address)
            seen += [job["id"] for job in answer.json()["items"]]
            address = answer.links.get("next", {}).get("url", "")
        assert seen == [conversation(number).job_id for number in range(105, 100, -1)]
        assert client.get("/v1/transcriptions?status=failed").json()["items"] == []
        assert len(client.get("/v1/transcriptions?status=completed").json()["items"]) == 5


def test_what_was_accepted_just_now_pages_with_the_rest(server: Server) -> None:
    with server.client("fresh") as client:
        sent = [client.post("/v1/transcriptions", content=b"x").json()["id"] for _ in range(5)]
        seen, address = [], "/v1/transcriptions?limit=2"
        while address:
            answer = client.get(address)
            seen += [job["id"] for job in answer.json()["items"]]
            address = answer.links.get("next", {}).get("url", "")
        assert sorted(seen) == sorted(sent) and len(seen) == 5


def test_a_cursor_works_only_where_it_was_written(server: Server, client: httpx.Client, stranger: httpx.Client) -> None:
    for number in (8, 9):
        server.show(*conversation(number).facts)
        server.show(*conversation(number + 100, "umbrella").facts)
    token = client.get("/v1/transcriptions?limit=1").json()["next_cursor"]
    assert client.get(f"/v1/transcriptions?cursor={token}").status_code == 200
    flipped = ("B" if token[0] != "B" else "C") + token[1:]
    for where, who in (
        (f"/v1/transcriptions?cursor={flipped}", client),
        (f"/v1/transcriptions?cursor={token[:-3]}", client),
        (f"/v1/transcriptions?status=completed&cursor={token}", client),
        (f"/v1/transcriptions?cursor={token}", stranger),
        (f"/v1/search?q=x&cursor={token}", client),
        (f"/v1/transcriptions/{conversation(8).job_id}/segments?cursor={token}", client),
    ):
        check_problem(who.get(where), 400, "bad_cursor")


@pytest.mark.parametrize("token", ["", "!", "AAAA", "A" * 3000, "é", "...."])
def test_a_token_that_is_none_is_refused(token: str) -> None:
    with pytest.raises(Exception, match="cursor"):
        Cursors("secret" * 4).read("acme", "jobs", token)


def test_a_cursor_brings_its_values_back() -> None:
    cursors = Cursors("secret" * 4)
    token = cursors.write("acme", "jobs", (1, "a", None, 1.5))
    assert cursors.read("acme", "jobs", token) == [1, "a", None, 1.5]
    assert cursors.read("acme", "jobs", None) is None


def test_merged_speakers_show_as_one(server: Server, client: httpx.Client) -> None:
    job = conversation(10)
    job.fact(records.SpeakersMerged, speaker_id="spk2", into_speaker_id="spk1")
    job.fact(records.SpeakerNamed, speaker_id="spk1", name="Ada")
    server.show(*job.facts)
    (speaker,) = client.get(f"/v1/transcriptions/{job.job_id}/speakers").json()
    assert (speaker["id"], speaker["name"]) == ("spk1", "Ada")
    one = client.get(f"/v1/transcriptions/{job.job_id}/segments/s5-2").json()
    assert (one["speaker_id"], one["speaker"], one["revision"]) == ("spk1", "Ada", 5)
