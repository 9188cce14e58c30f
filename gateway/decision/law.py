"""The tables of the law for people: what each reason rests on, and what would help.

A refusal cites its clause in both languages and says so when its source is not confirmed
(domain-rules 13). The texts are data, in `policies/data/reasons.json`, with source and tag.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.decision.bundle import DEFAULT_POLICIES
from gateway.decision.input import InputLimits
from gateway.decision.tables import read_table
from gateway.domain.errors import InvalidRequestError, Reason

# Evidence tags that a refusal must confess: from memory, or read in secondary sources only.
UNCONFIRMED_TAGS = frozenset({"M", "V2"})
GATE = "GATE"
_FALLBACK = "GATE/INTERNAL"


@dataclass(frozen=True, slots=True)
class ReasonText:
    """What a caller is told about one reason.

    Args:
        rule: Rule id, or `GATE` for the gateway's own.
        code: Stable reason code.
        clause_zh: The clause it rests on, Chinese.
        clause_en: The clause it rests on, English.
        remedy_zh: What would make it allowed, Chinese.
        remedy_en: What would make it allowed, English.
        unconfirmed: True when the source of the clause was not verified.
    """

    rule: str
    code: str
    clause_zh: str
    clause_en: str
    remedy_zh: str
    remedy_en: str
    unconfirmed: bool


@dataclass(frozen=True, slots=True)
class LawTable:
    """Reason texts, switches and limits, read once at start.

    Args:
        texts: `RULE/CODE` to text.
        switches: Switch name to its default.
        limits: What the input is shaped by.
    """

    texts: Mapping[str, ReasonText]
    switches: Mapping[str, bool | int]
    limits: InputLimits

    @classmethod
    def load(cls, policies: Path = DEFAULT_POLICIES) -> "LawTable":
        """Read `policies/data`.

        Raises:
            ValueError: When a table is malformed or an entry names no source or tag.
        """
        data = policies / "data"
        reasons = read_table(data, "reasons")
        return cls(
            texts={key: _text(key, entry) for key, entry in reasons.items()},
            switches={k: _default(v) for k, v in read_table(data, "switches").items()},
            limits=_limits(data),
        )

    def text(self, reason: Reason) -> ReasonText:
        """Return the text of a reason.

        A code without a text of its own is told as the gateway's defect; a test proves that
        none that the policy or the gateway can give is missing.
        """
        found = self.texts.get(f"{reason.rule}/{reason.code}")
        found = found or self.texts.get(f"{GATE}/{reason.code}")
        return found or self.texts[_FALLBACK]

    def settle(self, chosen: Mapping[str, bool | int]) -> dict[str, bool | int]:
        """Return every switch: the deployment's choice, or the default.

        Raises:
            InvalidRequestError: `BAD_REQUEST` for an unknown switch or a value of another type.
        """
        for name, value in chosen.items():
            default = self.switches.get(name)
            if default is None or type(value) is not type(default):
                raise InvalidRequestError("BAD_REQUEST", "unknown policy switch or wrong type")
        return {**self.switches, **chosen}


def _text(key: str, entry: Mapping[str, object]) -> ReasonText:
    rule, _, code = key.partition("/")
    words = [entry.get(k) for k in ("clause_zh", "clause_en", "remedy_zh", "remedy_en")]
    if not code or not all(isinstance(word, str) and word for word in words):
        raise ValueError(f"reasons.{key}: clause and remedy in both languages are expected")
    clause_zh, clause_en, remedy_zh, remedy_en = map(str, words)
    return ReasonText(
        rule=rule,
        code=code,
        clause_zh=clause_zh,
        clause_en=clause_en,
        remedy_zh=remedy_zh,
        remedy_en=remedy_en,
        unconfirmed=entry["tag"] in UNCONFIRMED_TAGS,
    )


def _default(entry: Mapping[str, object]) -> bool | int:
    value = entry.get("default")
    if not isinstance(value, (bool, int)):
        raise TypeError("switches: a default is true, false or an integer")
    return value


def _limits(data: Path) -> InputLimits:
    numbers = {k: v["value"] for k, v in read_table(data, "thresholds").items()}
    minimal = read_table(data, "lists")["minimal_fields"]["values"]
    group, bulk, years, loan = (
        numbers[name]
        for name in (
            "modelling_group", "border_subjects", "personal_adverse_years", "subsidy_loan"
        )
    )  # fmt: skip
    whole = all(isinstance(number, int) for number in (group, bulk, years, loan))
    if not isinstance(minimal, list) or not whole:
        raise TypeError("thresholds: an integer is expected")
    return InputLimits(
        minimal_fields=frozenset(minimal),
        count_ceiling=max(int(str(group)), int(str(bulk))) + 1,
        adverse_years=int(str(years)),
        subsidy_loan_fen=int(str(loan)),
    )
