"""Who plays: the organisations of the demonstration and what each is licensed to.

All of them are synthetic; their codes pass GB 32100 and use the unassigned region 460099.
"""

from dataclasses import dataclass

from gateway.domain.vocabulary import LicenceKind, Role

COMPANY_FIELDS = (
    "uscc",
    "name",
    "legal_rep_name",
    "entity_type",
    "established_on",
    "reg_status",
    "registered_capital",
    "registered_capital_currency",
    "address",
    "region_code",
    "business_scope",
    "industry_code",
    "contact_phone",
)
COMPANY_GRANT = (
    *COMPANY_FIELDS,
    "name_en",
    "operating_to",
    "province",
    "locality",
    "reg_authority",
    "reg_authority_uscc",
    "lei",
    "source_unit",
)
PENALTY_FIELDS = (
    "record_id",
    "uscc",
    "decision_no",
    "violation_type",
    "penalty_type",
    "fine_10k",
    "decided_on",
    "authority",
    "severity",
    "publicity_end",
)
GRADE_FIELDS = ("uscc", "grade", "model_id", "model_version", "as_of", "valid_to")
PARTNER_FIELDS = (
    "uscc",
    "name",
    "entity_type",
    "established_on",
    "reg_status",
    "registered_capital",
    "legal_rep_name",
    "address",
    "contact_phone",
    "dispute_flag",
)
WHITELIST = (
    "uscc",
    "name",
    "entity_type",
    "established_on",
    "reg_status",
    "registered_capital",
    "dispute_flag",  # R14: a disputed record crosses with its label
)


@dataclass(frozen=True, slots=True)
class Player:
    """One organisation.

    Args:
        key: How the demonstration calls it.
        party_id: Canonical party id.
        name: Its name.
        role: What it is to the gateway.
        kind: Kind of its licence, or None without one.
        grants: Product name to the fields that are granted.
        purposes: Purpose codes of the licence.
        scenario: Scenario code of the licence.
        destination: Where it uses the data.
        pseudonymous: Products whose subject leaves as a pseudonym.
    """

    key: str
    party_id: str
    name: str
    role: Role
    kind: LicenceKind | None = None
    grants: tuple[tuple[str, tuple[str, ...]], ...] = ()
    purposes: tuple[str, ...] = ()
    scenario: str = ""
    destination: str = "CN"
    pseudonymous: frozenset[str] = frozenset()


OPERATOR = Player("operator", "uscc:91460099090001001H", "示例公共数据运营有限公司", Role.OPERATOR)
AUTHORITY = Player("authority", "uscc:91460099090001002L", "示例营商环境主管部门", Role.AUTHORITY)
SECURITY = Player("security", "uscc:91460099090001003P", "示例平台安全管理岗", Role.SECURITY_ADMIN)
AUDITOR = Player("auditor", "uscc:91460099090001004T", "示例审计机构", Role.AUDITOR)
AGENCY = Player(
    "agency",
    "uscc:91460099090001005X",
    "示例征信有限公司",
    Role.AGENCY,
    LicenceKind.ENTERPRISE_CREDIT_FILING,
    grants=(("legal_entity_base", COMPANY_GRANT), ("admin_penalty", PENALTY_FIELDS)),
    purposes=("CREDIT_REPORT", "CREDIT_CHECK"),
    scenario="ENTERPRISE_REPORT",
)
BANK = Player(
    "bank",
    "uscc:914600990900010061",
    "示例银行股份有限公司",
    Role.BANK,
    LicenceKind.BANKING,
    grants=(
        ("legal_entity_base", COMPANY_GRANT),
        ("public_credit_grade", GRADE_FIELDS),
        ("admin_penalty", PENALTY_FIELDS),
    ),
    purposes=("ENTERPRISE_CREDIT", "AFTER_LOAN"),
    scenario="CREDIT_LOAN",
    pseudonymous=frozenset({"public_credit_grade"}),
)
PARTNER = Player(
    "partner",
    "reg:SG:201900000K",
    "Example Credit Bureau (Singapore)",
    Role.CROSS_BORDER_PARTNER,
    LicenceKind.RECOGNITION_AGREEMENT,
    grants=(("legal_entity_base", PARTNER_FIELDS),),
    purposes=("TRADE",),
    scenario="MUTUAL_RECOGNITION",
    destination="SG",
)
CAST = (OPERATOR, AUTHORITY, SECURITY, AUDITOR, AGENCY, BANK, PARTNER)

# What the partner's own steps need besides; registered when the demonstration opens its border.
CROSSING_GRADE = ("uscc", "grade", "as_of", "valid_to", "dispute_flag")
CROSSING_DEBTOR = ("name", "court", "dispute_flag")
FOREIGN_FIELDS = (
    "foreign_id",
    "name",
    "grade_original",
    "grade",
    "grade_mapping_id",
    "grade_mapping_version",
    "issuer",
    "agreement_id",
    "onward_use",
)
EXPORTER = Player(
    "exporter",
    "uscc:914600990900010074",
    "示例个人征信有限公司",
    Role.AGENCY,
    LicenceKind.PERSONAL_CREDIT_LICENCE,
    grants=(("judgement_debtor", CROSSING_DEBTOR),),
    purposes=("CREDIT_REPORT",),
    scenario="ENTERPRISE_REPORT",
)
CONSENTS = Player("consents", "uscc:914600990900010087", "示例授权存证机构", Role.CONSENT_ISSUER)
