"""Closed lists of words that the contract, the licences and the policy share.

The lists that the law fixes as numbers or texts are in `policies/data`; these are the
words that code branches on. Sources: domain-rules 3.3 (schemas), 9 and 13 (roles).
"""

from enum import StrEnum


class Role(StrEnum):
    """What an organisation is to the gateway (domain-rules 13, Roles)."""

    PUBLIC_BODY = "PUBLIC_BODY"  # 公共管理机构
    PLATFORM_ENTERPRISE = "PLATFORM_ENTERPRISE"  # 平台企业 (M56)
    FINANCING_PLATFORM = "FINANCING_PLATFORM"  # 信易贷 platform
    BANK = "BANK"
    INSURER = "INSURER"  # insurers and guarantors
    AGENCY = "AGENCY"  # 信用服务机构
    OPERATOR = "OPERATOR"  # 授权运营机构
    PROVIDER = "PROVIDER"  # units that provide data
    REGIONAL_PARTNER = "REGIONAL_PARTNER"  # inside China (M22)
    CROSS_BORDER_PARTNER = "CROSS_BORDER_PARTNER"  # 境外, HK, Macao and Taiwan included
    CONSENT_ISSUER = "CONSENT_ISSUER"
    SUBJECT = "SUBJECT"
    AUDITOR = "AUDITOR"
    REGULATOR_COMPETENT = "REGULATOR_COMPETENT"  # 营商环境主管部门
    REGULATOR_DATA = "REGULATOR_DATA"  # 数据主管部门
    REGULATOR_PBOC = "REGULATOR_PBOC"
    AUTHORITY = "AUTHORITY"  # signs licences and repairs
    SYSTEM_ADMIN = "SYSTEM_ADMIN"  # three duties apart (等保)
    SECURITY_ADMIN = "SECURITY_ADMIN"
    AUDIT_ADMIN = "AUDIT_ADMIN"


class FieldClass(StrEnum):
    """Sensitivity class of a field (domain-rules 3.3)."""

    P0 = "P0"  # publicised
    P1 = "P1"  # public-authority data about an organisation, not publicised
    C = "C"  # commercial secret or self-declared
    PI = "PI"
    SPI = "SPI"
    X = "X"  # prohibited at ingest


class BorderDefault(StrEnum):
    """What a field's contract says about crossing the border."""

    ALLOW = "A"
    TRANSFORM = "T"
    DENY = "D"


class SubjectKind(StrEnum):
    """Kinds of subject (主体类型)."""

    LEGAL_ENTITY = "LEGAL_ENTITY"
    SOLE_PROP = "SOLE_PROP"  # 个体工商户: a person behind a business code
    SOCIAL_ORG = "SOCIAL_ORG"
    PUBLIC_INST = "PUBLIC_INST"
    GOV = "GOV"
    NATURAL_PERSON = "NATURAL_PERSON"


class FieldAction(StrEnum):
    """What enforcement does with a field. Anything else in a decision is a denial."""

    ALLOW = "allow"
    MASK = "mask"
    PSEUDONYM = "pseudonym"
    GENERALISE = "generalise"
    DROP = "drop"


class LicenceKind(StrEnum):
    """The permission behind a licence document (R30, R31)."""

    ENTERPRISE_CREDIT_FILING = "ENTERPRISE_CREDIT_FILING"  # 企业征信备案
    PERSONAL_CREDIT_LICENCE = "PERSONAL_CREDIT_LICENCE"  # 个人征信许可
    CREDIT_SERVICE_OTHER = "CREDIT_SERVICE_OTHER"
    BANKING = "BANKING"
    INSURANCE = "INSURANCE"
    OPERATION_AGREEMENT = "OPERATION_AGREEMENT"  # 授权运营协议
    PLATFORM_AGREEMENT = "PLATFORM_AGREEMENT"
    RECOGNITION_AGREEMENT = "RECOGNITION_AGREEMENT"  # cross-border or regional
    STATUTORY = "STATUTORY"  # a public body's duty


class Status(StrEnum):
    """State of a party, a certificate or a licence."""

    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    REVOKED = "REVOKED"
