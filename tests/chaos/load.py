"""The load: clients that hand recordings in and then do what people do with them, whatever happens to the servers.

In: the planned uploads and the API's address. Out: what each client was told. Knows neither faults nor what is behind
the API.
"""

import hashlib
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.chaos.caller import Answer, Caller, Json
from tests.chaos.plan import Script, Upload
from tests.chaos.sounds import heavy, recording, rubbish
from tests.chaos.told import Notebook, Told

CLIENTS = 40
ENDED = frozenset({"completed", "failed", "cancelled"})
VOCABULARY = {
    Script.CRASH: "stub:crash-from=0-until=1",
    Script.HANG: "stub:hang-from=0-until=1-task=asr",
    Script.FAIL_AND_RETRY: "stub:fail-round=0",
}
# Stands in names of files and speakers and in corrections, and must stand in no log.
CANARY = "quetzalcoatlus"


class Load:
    """All clients of a run. `deadline` is when they give up; a run moves it when it heals."""

    def __init__(self, url: str, keys: dict[str, str], seed: int, notebook: Notebook) -> None:
        self.deadline_s = float("inf")
        self._seed = seed
        self._notebook = notebook
        self._callers = {tenant: Caller(url, key, lambda: self.deadline_s) for tenant, key in keys.items()}
        self._pool = ThreadPoolExecutor(CLIENTS, thread_name_prefix="client")
        self._stop = threading.Event()
        self.job_ids: dict[int, str] = {}
        self.errors: list[str] = []

    @property
    def broken(self) -> list[str]:
        """Answers that no client should ever get."""
        return [line for caller in self._callers.values() for line in caller.broken]

    def run(self, uploads: Sequence[Upload], begun_s: float) -> None:
        """Begins every upload at its time, then waits for all clients."""
        for upload in uploads:
            if not self._stop.wait(max(0.0, begun_s + upload.at_s - time.monotonic())):
                self._pool.submit(self._guarded, upload)
        self._pool.shutdown(wait=True)

    def close(self) -> None:
        """Begins no more uploads and closes the connections."""
        self._stop.set()
        for caller in self._callers.values():
            caller.close()

    def repeat_calmly(self, uploads: Sequence[Upload]) -> None:
        """The same recordings again under other keys, with nobody disturbing: what they must say."""
        with ThreadPoolExecutor(CLIENTS, thread_name_prefix="calm") as pool:
            for upload in uploads:
                pool.submit(self._calm, upload)

    def _guarded(self, upload: Upload) -> None:
        try:
            _Client(self, upload).play()
        except Exception as error:  # a bug of the harness must be seen, not swallowed by the pool
            self.errors.append(f"upload {upload.number} ({upload.script}): {error!r}")

    def _calm(self, upload: Upload) -> None:
        try:
            client = _Client(self, upload)
            if job_id := client.submit(f"calm-{self._seed}-{upload.number}", operation="upload-again"):
                client.ended(job_id)
        except Exception as error:
            self.errors.append(f"calm upload {upload.number}: {error!r}")

    def caller(self, tenant: str) -> Caller:
        """The client of a tenant."""
        return self._callers[tenant]

    def note(self, told: Told) -> None:
        """Remembers what a client was told."""
        self._notebook.write(told)

    def audio(self, upload: Upload) -> bytes:
        """The recording of an upload."""
        if upload.script is Script.RUBBISH:
            return rubbish(self._seed, upload.number)
        sound = recording(self._seed, upload.number, upload.duration_s)
        return heavy(sound) if upload.heavy else sound

    def key(self, number: int) -> str:
        """The Idempotency-Key of an upload."""
        return f"chaos-{self._seed}-{number}"


class _Client:
    """One upload and what follows it."""

    def __init__(self, load: Load, upload: Upload) -> None:
        self._load = load
        self._upload = upload
        self._caller = load.caller(upload.tenant)

    def play(self) -> None:
        """From the upload to the end of its script."""
        upload = self._upload
        key = self._load.key(upload.number)
        if upload.script is Script.TWINS:
            other = threading.Thread(target=self.submit, args=(key,), name=f"twin-of-{upload.number}")
            other.start()
            job_id = self.submit(key)
            other.join()
        else:
            job_id = self.submit(key)
        if job_id:
            self._load.job_ids[upload.number] = job_id
            self._follow(job_id)

    def submit(self, key: str, operation: str = "upload") -> str:
        """Hands the recording in until that is acknowledged; the job's id."""
        upload, audio = self._upload, self._load.audio(self._upload)
        form = {"diarize": str(upload.diarize).lower()}
        if upload.script in VOCABULARY:
            form["vocabulary"] = VOCABULARY[upload.script]
        answer = self._caller.until_definite(
            "POST",
            "/v1/transcriptions",
            files={"file": (f"{CANARY}-{upload.number}.wav", audio)},
            data=form,
            headers={"Idempotency-Key": key},
        )
        job_id = str(answer.body.get("id", "")) if answer else ""
        said_s = 0.0 if upload.script is Script.RUBBISH else upload.duration_s
        sha256 = hashlib.sha256(audio).hexdigest()
        self._tell(operation, answer, job_id=job_id, key=key, sha256=sha256, duration_s=said_s)
        return job_id

    def ended(self, job_id: str) -> Json | None:
        """The job when it has ended."""
        return self._caller.job_until(job_id, lambda job: job["status"] in ENDED)

    def _follow(self, job_id: str) -> None:
        match self._upload.script:
            case Script.CANCEL:
                self._wait()
                self._keyed("cancel", job_id, f"/v1/transcriptions/{job_id}/cancel")
            case Script.DELETE:
                self._delete(job_id)
            case Script.CORRECT:
                self._correct(job_id)
            case Script.NAME:
                self._name(job_id)
            case Script.FEEDBACK:
                self._feedback(job_id)
            case Script.FAIL_AND_RETRY:
                if self.ended(job_id):
                    self._keyed("retry", job_id, f"/v1/transcriptions/{job_id}/retry")
                    self.ended(job_id)
            case _:
                self.ended(job_id)

    def _wait(self) -> None:
        threading.Event().wait(self._upload.patience_s)

    def _keyed(self, operation: str, job_id: str, path: str, *, body: Json | None = None, mark: str = "") -> None:
        key = f"{operation}-{self._load.key(self._upload.number)}"
        answer = self._caller.until_definite("POST", path, json=body, headers={"Idempotency-Key": key})
        self._tell(operation, answer, job_id=job_id, key=key, mark=mark)

    def _delete(self, job_id: str) -> None:
        """Some at once, some when there is a transcript; repeated until the job is gone."""
        if self._upload.number % 2:
            self.ended(job_id)
        else:
            self._wait()
        answer = self._caller.until_definite("DELETE", f"/v1/transcriptions/{job_id}")
        self._tell("delete", answer, job_id=job_id)

    def _feedback(self, job_id: str) -> None:
        if self.ended(job_id):
            mark = f"{CANARY} judged {self._upload.number}"
            path = f"/v1/transcriptions/{job_id}/feedback"
            self._keyed("feedback", job_id, path, body={"rating": 4, "comment": mark}, mark=mark)

    def _correct(self, job_id: str) -> None:
        """Two people correct the same revision of a segment, three times; each writes a text of their own."""
        job = self.ended(job_id)
        if job is None or job["status"] != "completed":
            return
        for turn in range(3):
            page = self._caller.until_definite("GET", f"/v1/transcriptions/{job_id}/segments")
            if page is None or not page.body.get("items"):
                return
            segment = page.body["items"][turn % len(page.body["items"])]
            people = [
                threading.Thread(target=self._correction, args=(job_id, segment, f"{turn}-{who}"))
                for who in ("first", "second")
            ]
            for person in people:
                person.start()
            for person in people:
                person.join()

    def _correction(self, job_id: str, segment: Json, who: str) -> None:
        """Not repeated by itself: a client without an answer looks again before it writes again."""
        mark = f"{CANARY} corrected {self._upload.number}-{who}"
        answer = self._caller.once(
            "PATCH",
            f"/v1/transcriptions/{job_id}/segments/{segment['id']}",
            json={"text": mark},
            headers={"If-Match": f'"{segment["revision"]}"'},
        )
        self._tell("correct", answer, job_id=job_id, mark=mark)

    def _name(self, job_id: str) -> None:
        """Everybody gets a name; then the second turns out to be the first."""
        job = self.ended(job_id)
        speakers = [str(speaker["id"]) for speaker in (job or {}).get("speakers", ())]
        path = f"/v1/transcriptions/{job_id}/speakers"
        for speaker in speakers:
            mark = f"{CANARY} {speaker} of {self._upload.number}"
            answer = self._caller.until_definite("PUT", f"{path}/{speaker}", json={"name": mark})
            self._tell("name", answer, job_id=job_id, mark=mark)
        if len(speakers) > 1:
            self._keyed("merge", job_id, f"{path}/{speakers[1]}/merge", body={"into": speakers[0]})

    def _tell(self, operation: str, answer: Answer | None, *, job_id: str, **more: Any) -> None:
        self._load.note(
            Told(
                operation=operation,
                tenant=self._upload.tenant,
                script=self._upload.script.value,
                number=self._upload.number,
                job_id=job_id,
                outcome=answer.outcome if answer else "unknown",
                status=answer.status if answer else 0,
                code=answer.code if answer else "",
                attempts=answer.attempts if answer else 0,
                request_id=str(answer.body.get("request_id", answer.request_id)) if answer else "",
                **more,
            )
        )
