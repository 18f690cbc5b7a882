"""What every stage knows: the settings of the three planes, their hashes, the code, and where artifacts go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from data_plane.settings import DataSettings, IbkrSourceSettings
from domain.go_live import CodeVersion, Evidence, Sheet, canonical
from gates.artifact import MODELS, AnyArtifact, Check, Subject
from gates.render import circumstances
from gates.shelf import Shelf
from gates.stages import stage
from kernel.clock import SystemClock
from kernel.code_version import ROOT, code_version
from kernel.settings import config_hash
from order_plane.go_live_terms import limits_hash, order_configuration
from order_plane.settings import OrderSettings
from strategy_plane.settings import StrategySettings

NO_GATEWAY = (Evidence.SIMULATED, ("this stage meets no gateway",))
Source = tuple[Evidence, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Context:
    """The settings that are to go live, with the gateway of the moment, and the shelf of artifacts.

    ``root`` is the checkout: stages 1, 4 and 5 need its fixtures and tests. ``code`` is as it was at the start: what is
    written to the disk during a session of hours did not trade in it.
    """

    data: DataSettings
    strategy: StrategySettings
    order: OrderSettings
    shelf: Shelf
    root: Path = ROOT
    code: CodeVersion = field(default_factory=lambda: CodeVersion(**code_version()._asdict()))

    def subject(self) -> Subject:
        """What the artifacts are about, as it is now."""
        return Subject(
            self.order.account,
            configuration_of(self.data, self.strategy, self.order),
            order_configuration(self.order),
            limits_hash(self.order),
            self.code,
        )

    def finish(
        self,
        number: int,
        checks: Sequence[Check],
        findings: Sheet,
        documents: Mapping[str, str] | None = None,
        source: Source = NO_GATEWAY,
    ) -> AnyArtifact:
        """Write the documents and the artifact of a stage, and return it; Markdown ends with the circumstances.

        Raises:
            RecordSigned: when a record was signed since the stage began; nothing is written then.
        """
        self.shelf.require_unsigned()
        chosen, subject, created_at = stage(number), self.subject(), SystemClock().now()
        end = circumstances(subject, source, created_at)
        texts = {name: text + end if name.endswith(".md") else text for name, text in (documents or {}).items()}
        files = {name: self.shelf.write_text(name, text) for name, text in texts.items()}
        artifact: AnyArtifact = MODELS[number](
            stage=number,
            title=chosen.name,
            created_at=created_at,
            evidence=source[0],
            evidence_why=tuple(source[1]),
            passed=all(each.passed for each in checks),
            checks=tuple(checks),
            findings=findings,
            files=files,
            **subject._asdict(),
        )
        self.shelf.finish(artifact)
        return artifact


def configuration_of(data: DataSettings, strategy: StrategySettings, order: OrderSettings) -> str:
    """SHA-256 (hex) of everything that decides what is traded; places are left out as in `order_configuration`."""
    parts = {
        "data": config_hash(_without_places(data)),
        "strategy": config_hash(strategy),
        "order": order_configuration(order),
    }
    return sha256(canonical(parts)).hexdigest()


def _without_places(data: DataSettings) -> DataSettings:
    """The settings with what only says where the gateway and its bars are at the defaults."""
    if data.ibkr is None:
        return data
    usual = IbkrSourceSettings()
    update = {name: getattr(usual, name) for name in ("host", "port", "client_id", "cache")}
    return data.model_copy(update={"ibkr": data.ibkr.model_copy(update=update)})


def check(name: str, passed: bool, required: str, found: object) -> Check:
    """One condition."""
    return Check(name=name, passed=bool(passed), required=required, found=str(found)[:2000])
