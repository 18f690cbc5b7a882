"""The directory of artifacts: written whole, read back, and held against the hashes of their documents."""

import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from shlex import quote
from typing import TypeVar

from pydantic import ValidationError

from domain.go_live import GoLiveRecord, Sheet, SignedRecord
from gates.artifact import MODELS, AnyArtifact
from gates.ladder import Found
from gates.stages import LOG, RECORD, STAGES, stage
from kernel.audit_log import AuditLog
from kernel.clock import SystemClock

_RECORD = "record"
_EDITED = "put it back, or have stage 8 draft a new one, in a copy of the directory if this one is signed"
Model = TypeVar("Model", bound=Sheet)


class UnreadableDocument(ValueError):
    """A file is missing or does not follow its schema; the text names file and field."""


class RecordSigned(ValueError):
    """A record that is signed, or cannot be read, is in the way of stages and new records; the text says what to do."""


class Shelf:
    """All files of one ladder."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write_text(self, name: str, text: str) -> str:
        """Write a document and return its digest."""
        self.directory.mkdir(parents=True, exist_ok=True)
        draft = self.directory / f".{name}.draft"
        draft.write_text(text, "utf-8", newline="\n")
        draft.replace(self.directory / name)
        return sha256(text.encode()).hexdigest()

    def write(self, name: str, sheet: Sheet) -> str:
        """Write a document as JSON and return its fingerprint."""
        self.write_text(name, json.dumps(sheet.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n")
        return sheet.fingerprint

    def finish(self, artifact: AnyArtifact) -> None:
        """Write the artifact of a stage and note in the log that the stage has written it.

        Raises:
            AuditBroken: when the log was changed.
        """
        digest = self.write(stage(artifact.stage).artifact, artifact)
        self._note(str(artifact.stage), digest, artifact.created_at)

    def in_the_way(self) -> str:
        """Why no stage may write here, and what to do; empty without a record, or when nobody has signed it."""
        path = self.directory / RECORD
        if not path.exists():
            return ""
        try:
            signed = self.read(RECORD, SignedRecord)
        except UnreadableDocument:
            why = "cannot be read"
        else:
            if not signed.signatures and not signed.reviews:
                return ""
            why = "has signatures or reviews"
        copy = quote(str(aside(self.directory)))
        return (
            f"{path} {why}, and a stage that runs here would replace what it stands on. For a new decision copy "
            f"{self.directory} to {copy}, without {RECORD}, and go on there with --evidence {copy}, while live trading "
            "goes on with the record here; once all have signed the new one, let order.go_live.record_path name it"
        )

    def require_unsigned(self) -> None:
        """Return only when there is no record, or one without signatures and reviews.

        Raises:
            RecordSigned: otherwise, or when nobody can say.
        """
        if why := self.in_the_way():
            raise RecordSigned(why)

    def draft(self, record: GoLiveRecord | None) -> None:
        """Write the record that people are to sign, and note it like an artifact; None leaves none to be signed.

        Raises:
            AuditBroken: when the log was changed.
            RecordSigned: as `require_unsigned` does.
        """
        self.require_unsigned()
        if record is None:
            (self.directory / RECORD).unlink(missing_ok=True)
            return
        self.write(RECORD, SignedRecord(record=record))
        self._note(_RECORD, record.fingerprint, record.decided_at)

    def record(self) -> tuple[SignedRecord, str]:
        """The record, and why it is none to sign; empty when it is as it was drafted. Raises as `read` does."""
        signed = self.read(RECORD, SignedRecord)
        drafted = self._noted(_RECORD) == signed.record.fingerprint
        return signed, "" if drafted else f"{RECORD} is not as stage 8 wrote it; {_EDITED}"

    def read(self, name: str, model: type[Model]) -> Model:
        """A document; raises UnreadableDocument when it is missing or does not follow its schema."""
        try:
            return model.model_validate_json((self.directory / name).read_bytes())
        except OSError:
            raise UnreadableDocument(f"there is no file {self.directory / name}") from None
        except ValidationError as error:
            where = sorted({".".join(map(str, each["loc"])) or "the file" for each in error.errors()})
            raise UnreadableDocument(f"{name} does not follow its schema: {', '.join(where)}") from None

    def found(self, number: int) -> Found:
        """The artifact of a stage, and what is wrong with it or its documents."""
        chosen = stage(number)
        if not (self.directory / chosen.artifact).exists():
            return Found(None)
        try:
            artifact: AnyArtifact = self.read(chosen.artifact, MODELS[number])
        except UnreadableDocument as error:
            return Found(None, (str(error),))
        problems = [f"{name} is missing from files" for name in chosen.documents if name not in artifact.files]
        if artifact.stage != number:
            problems.append(f"it is the artifact of stage {artifact.stage}")
        if self._noted(str(number)) != artifact.fingerprint:
            problems.append("it is not as the stage wrote it")
        return Found(artifact, (*problems, *self._changed(artifact.files)))

    def all(self) -> Mapping[int, Found]:
        """Every artifact."""
        return {each.number: self.found(each.number) for each in STAGES}

    def _note(self, what: str, fingerprint: str, at: datetime) -> None:
        AuditLog(self.directory / LOG).append({"stage": what, "fingerprint": fingerprint, "at": at.isoformat()})

    def _noted(self, what: str) -> str:
        """The fingerprint of the newest artifact that a stage has written."""
        entries = AuditLog(self.directory / LOG).entries()
        return next((each["fingerprint"] for each in reversed(entries) if each["stage"] == what), "")

    def _changed(self, files: Mapping[str, str]) -> list[str]:
        found = []
        for name, digest in files.items():
            try:
                now = sha256((self.directory / Path(name).name).read_bytes()).hexdigest()
            except OSError:
                found.append(f"{name} is gone")
                continue
            if now != digest:
                found.append(f"{name} was changed")
        return found


def aside(path: Path) -> Path:
    """Where a signed file or directory may be put aside: beside it, under a name that nothing has."""
    path = path.resolve()  # "." has no name
    return path.with_stem(f"{path.stem}-{SystemClock().now():%Y%m%d-%H%M%S-%f}")
