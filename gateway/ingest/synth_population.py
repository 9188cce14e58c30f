"""Synthetic subjects: organisations with valid codes that no register ever issued, and persons.

Every code passes GB 32100 and GB 11714 but has the region 460099, which is unassigned, and
every name says that it is an example. Persons are tokens only.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gateway.domain.vocabulary import SubjectKind
from gateway.ingest.arrow_text import TextColumn, joined, padded
from gateway.ingest.synth_draws import Draws, Rows, fixed_texts, hex_texts, pick

_ALPHABET = np.frombuffer(b"0123456789ABCDEFGHJKLMNPQRTUWXY", np.uint8)
_VALUE_31 = np.zeros(128, np.int64)
_VALUE_31[_ALPHABET] = np.arange(31)
_VALUE_36 = np.array([int(chr(c), 36) if chr(c).isalnum() else 0 for c in range(128)])
_ORG_WEIGHTS = np.array([3, 7, 9, 10, 5, 8, 4, 2])
_ORG_CHECK = np.frombuffer(b"0X987654321", np.uint8)  # by the weighted sum modulo 11
_USCC_WEIGHTS = np.array([1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28])

REGION = b"460099"
KINDS = (
    SubjectKind.LEGAL_ENTITY,
    SubjectKind.SOLE_PROP,
    SubjectKind.SOCIAL_ORG,
    SubjectKind.PUBLIC_INST,
    SubjectKind.GOV,
)
_PREFIXES = np.frombuffer(b"9192511211", np.uint8).reshape(5, 2)
_KIND_WEIGHTS = (0.84, 0.10, 0.03, 0.02, 0.01)
# The first organisations are always companies, so that a demonstration can rely on them.
PLAIN_COMPANIES = 10
_BODIES = 31**6  # six characters of the alphabet after the letters MA
_SPREAD = 5_040_407  # coprime to 31, so that multiplying permutes the bodies

_BRANDS = (
    *("海棠", "木棉", "椰林", "鹿回", "南渡", "万泉", "五指", "霸王", "尖峰", "铜鼓"),
    *("博鳌", "亚龙", "天涯", "龙湾", "清澜", "洋浦", "昌化", "陵水", "保亭", "琼中"),
)
_BRANDS_EN = (
    *("Haitang", "Mumian", "Yelin", "Luhui", "Nandu", "Wanquan", "Wuzhi", "Bawang"),
    *("Jianfeng", "Tonggu", "Boao", "Yalong", "Tianya", "Longwan", "Qinglan", "Yangpu"),
    *("Changhua", "Lingshui", "Baoting", "Qiongzhong"),
)
_TRADES = ("商贸", "科技", "建筑", "物流", "食品", "农业", "旅游", "医药", "渔业", "文化")
_TRADES_EN = (
    *("Trading", "Technology", "Construction", "Logistics", "Food"),
    *("Farming", "Travel", "Pharma", "Fishery", "Culture"),
)
_ENDINGS = ("有限公司", "经营部", "协会", "服务中心", "管理局")
_ENDINGS_EN = ("Co., Ltd.", "Shop", "Association", "Service Centre", "Administration")


def uscc_texts(prefixes: npt.NDArray[np.uint8], numbers: Rows) -> pa.StringArray:
    """Return synthetic unified social credit codes.

    Args:
        prefixes: The first two characters of each, shape (rows, 2), ASCII.
        numbers: Number of each organisation, 0 or more, below 31^6; different ones give
            different codes.
    """
    body = numbers % _BODIES * _SPREAD % _BODIES
    text = np.empty((len(numbers), 18), np.uint8)
    text[:, :2] = prefixes
    text[:, 2:8] = np.frombuffer(REGION, np.uint8)
    text[:, 8:10] = np.frombuffer(b"MA", np.uint8)
    for place in range(15, 9, -1):
        text[:, place] = _ALPHABET[body % 31]
        body //= 31
    text[:, 16] = _ORG_CHECK[_VALUE_36[text[:, 8:16]] @ _ORG_WEIGHTS % 11]
    sums = _VALUE_31[text[:, :17]] @ _USCC_WEIGHTS % 31
    text[:, 17] = _ALPHABET[(31 - sums) % 31]
    return fixed_texts(text)


@dataclass(frozen=True, slots=True)
class Population:
    """Who the records are about.

    Args:
        seed: Seed of all draws.
        companies: Number of organisations, individual businesses included.
        persons: Number of natural persons.
    """

    seed: int
    companies: int
    persons: int

    def kinds(self, indices: Rows) -> Rows:
        """Return the position in `KINDS` of each organisation."""
        drawn = Draws(self.seed, "population").weighted("kind", indices, _KIND_WEIGHTS)
        return np.where(indices < PLAIN_COMPANIES, 0, drawn)

    def usccs(self, indices: Rows) -> pa.StringArray:
        """Return the code of each organisation."""
        offset = int(
            Draws(self.seed, "population").below("offset", np.zeros(1, np.int64), _BODIES)[0]
        )
        return uscc_texts(_PREFIXES[self.kinds(indices)], indices + offset)

    def names(self, indices: Rows) -> TextColumn:
        """Return the Chinese name of each organisation; all begin with 示例 (example)."""
        brand, trade, kind = self._parts(indices)
        return joined(
            "示例",
            pick(_BRANDS, brand),
            pick(_TRADES, trade),
            serials(indices),
            pick(_ENDINGS, kind),
        )

    def english_names(self, indices: Rows) -> TextColumn:
        """Return the English name of each organisation."""
        brand, trade, kind = self._parts(indices)
        return joined(
            "Example",
            pick(_BRANDS_EN, brand),
            pick(_TRADES_EN, trade),
            serials(indices),
            pick(_ENDINGS_EN, kind),
            separator=" ",
        )

    def person_tokens(self, indices: Rows) -> TextColumn:
        """Return the token of each person: `PT` and 32 hexadecimal digits."""
        digits = hex_texts(Draws(self.seed, "persons").digests("token", indices, 16))
        return joined("PT", digits)

    def _parts(self, indices: Rows) -> tuple[Rows, Rows, Rows]:
        draws = Draws(self.seed, "population")
        return (
            draws.below("brand", indices, len(_BRANDS)),
            draws.below("trade", indices, len(_TRADES)),
            self.kinds(indices),
        )


def serials(numbers: Rows) -> TextColumn:
    """Return numbers as texts of at least seven digits."""
    return padded(numbers, 7)


def lei_texts(numbers: Rows) -> TextColumn:
    """Return synthetic legal entity identifiers with valid check digits (ISO 17442).

    The issuer's prefix `SYN0` exists nowhere.
    """
    digits = numbers % 10**12
    # "SYN000" in digits is 283423000; the number follows, then room for two check digits.
    remainder = (283423000 % 97 * pow(10, 14, 97) + digits % 97 * 100) % 97
    check = padded(98 - remainder, 2)
    return joined("SYN000", padded(digits, 12), check)
