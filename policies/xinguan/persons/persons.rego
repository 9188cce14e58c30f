# METADATA
# title: Natural persons, port clearance, platforms, special reports
# description: Persons are separately gated (M11, R31, R42), and some products have one use (R70 to R75).
package xinguan.persons

import data.law
import data.xinguan.banks
import data.xinguan.callers

# METADATA
# title: The subjects are persons, individual businesses included
about_persons if law.lists.person_kinds[input.request.subject_kind]

# METADATA
# title: Personal information of this request may leave in the clear inside the country
# scope: rule
basis if callers.duty

basis if callers.personally_licensed

basis if written_consent

basis if input.border != null

written_consent if {
	banks.consented
	law.lists.written_modes[input.consent.mode]
}

# METADATA
# title: Person-level data is asked for without written consent and purpose
# custom:
#   rule: R42
#   code: NO_WRITTEN_CONSENT
#   title_zh: 个人信息无书面同意
#   clause: "Regulation on Credit Reporting arts 13, 18; PIPL arts 13, 23, 29: written consent and an agreed purpose."
#   remedy: "Obtain the person's written consent and cite it in the request."
deny contains {"rule": "R42", "code": "NO_WRITTEN_CONSENT", "fields": []} if {
	about_persons
	not law.lists.personal_licence_roles[input.caller.role]
	not basis
}

# METADATA
# title: Sensitive personal information needs a personal licence
# custom:
#   rule: R31
#   code: NO_PERSONAL_LICENCE
#   title_zh: 个人信息须有个人征信许可
#   clause: "Regulation on Credit Reporting art. 7: personal credit business needs a licence of the PBOC; individual businesses and farmers count as persons."
#   remedy: "Use a personal credit licence, or ask for fields of enterprises only."
drop contains {"rule": "R31", "code": "NO_PERSONAL_LICENCE", "group": i} if {
	law.lists.personal_licence_roles[input.caller.role]
	not basis
	some i, group in input.fields
	group.class == "SPI"
}

# METADATA
# title: Sensitive personal information needs written consent
# custom:
#   rule: R42
#   code: NO_WRITTEN_CONSENT
#   title_zh: 个人信息无书面同意
#   clause: "Regulation on Credit Reporting arts 13, 18; PIPL arts 13, 23, 29: written consent and an agreed purpose."
#   remedy: "Obtain the person's written consent and cite it in the request."
drop contains {"rule": "R42", "code": "NO_WRITTEN_CONSENT", "group": i} if {
	not law.lists.personal_licence_roles[input.caller.role]
	not basis
	some i, group in input.fields
	group.class == "SPI"
}

# METADATA
# title: Prohibited fields never leave
# custom:
#   rule: R04
#   code: PROHIBITED_FIELD
#   title_zh: 禁止字段不得提供
#   clause: "Regulation on Credit Reporting art. 14: religion, genes, fingerprints, blood type, illness and medical history are prohibited."
#   remedy: "This field can't be provided."
drop contains {"rule": "R04", "code": "PROHIBITED_FIELD", "group": i} if {
	some i, group in input.fields
	group.class == "X"
}

# METADATA
# title: Ordinary personal information without a basis is masked
# custom:
#   rule: R31
#   code: NO_PERSONAL_LICENCE
#   title_zh: 个人信息须有个人征信许可
#   clause: "Regulation on Credit Reporting art. 7: personal credit business needs a licence of the PBOC; individual businesses and farmers count as persons."
#   remedy: "Use a personal credit licence, or ask for fields of enterprises only."
masked contains i if {
	not basis
	some i, group in input.fields
	group.class == "PI"
}

fired contains "R31" if count(masked) > 0

# METADATA
# title: Rows of persons never reach a caller without the right to ask about persons
# custom:
#   rule: R31
#   code: NO_PERSONAL_LICENCE
#   title_zh: 个人信息须有个人征信许可
#   clause: "Regulation on Credit Reporting art. 7: personal credit business needs a licence of the PBOC; individual businesses and farmers count as persons."
#   remedy: "Use a personal credit licence, or ask for fields of enterprises only."
predicates contains {"field": "subject_type", "op": "in", "value": kinds} if {
	"subject_type" in input.product.columns
	kinds := [kind | some kind in input.licence.subject_kinds; row_kind(kind)]
}

# METADATA
# title: Rows of persons can't be told from rows of organisations
# custom:
#   rule: R31
#   code: KINDS_INSEPARABLE
#   title_zh: 无法区分个人与组织的记录
#   clause: "Regulation on Credit Reporting art. 7; individual businesses and farmers are persons, so a product must tell rows by kind of subject."
#   remedy: "The operator adds the column subject_type to the contract, or takes persons out of the product."
deny contains {"rule": "R31", "code": "KINDS_INSEPARABLE", "fields": []} if {
	not "subject_type" in input.product.columns
	not about_persons
	not welcome
	some kind in input.product.subject_kinds
	law.lists.person_kinds[kind]
}

welcome if {
	basis
	input.border == null
}

row_kind(kind) if {
	not law.lists.person_kinds[kind]
	input.border == null
}

row_kind(kind) if {
	law.lists.person_kinds[kind]
	basis
	input.border == null
}

row_kind(kind) if {
	input.border != null
	kind == input.request.subject_kind
}

# METADATA
# title: The golden coconut score serves incentives only
# custom:
#   rule: R70
#   code: INCENTIVE_ONLY
#   title_zh: 金椰分仅用于激励
#   clause: "Measure 12: the golden coconut score serves incentives only."
#   remedy: "Use an incentive purpose: public service, utility, community, deposit-free."
deny contains {"rule": "R70", "code": "INCENTIVE_ONLY", "fields": []} if {
	law.lists.golden_coconut_products[input.product.name]
	not law.purposes.incentive[input.request.purpose]
}

# METADATA
# title: A person's port-clearance class is not for agencies
# custom:
#   rule: R71
#   code: PORT_PERSON_CLASS
#   title_zh: 个人通关信用分类不向机构提供
#   clause: "Measure 38: agencies may use the class of enterprises; a person's class needs a legal basis."
#   remedy: "Ask for the class of an enterprise."
deny contains {"rule": "R71", "code": "PORT_PERSON_CLASS", "fields": []} if {
	law.lists.port_products[input.product.name]
	about_persons
	not callers.duty
	not port_basis
}

port_basis if {
	input.switches.port_person_class
	written_consent
}

# METADATA
# title: A platform asks about somebody who is not its operator
# custom:
#   rule: R72
#   code: NOT_PLATFORM_OPERATOR
#   title_zh: 非本平台经营者
#   clause: "Measure 56: only operators registered on the platform are shared with it."
#   remedy: "Ask about operators registered on your platform only."
deny contains {"rule": "R72", "code": "NOT_PLATFORM_OPERATOR", "fields": []} if {
	input.caller.role == "PLATFORM_ENTERPRISE"
	input.platform_operators_only != true
}

# METADATA
# title: Special reports on natural persons are switched off
# custom:
#   rule: R73
#   code: SPECIAL_REPORT_PERSON
#   title_zh: 自然人专项信用报告未开放
#   clause: "Measure 42: special reports on natural persons are still being explored and are off."
#   remedy: "The operator switches it on once there is a basis."
deny contains {"rule": "R73", "code": "SPECIAL_REPORT_PERSON", "fields": []} if {
	law.purposes.special_report[input.request.purpose]
	about_persons
	not input.switches.natural_person_special_report
}

# METADATA
# title: The restriction measure is on neither list
# custom:
#   rule: R74
#   code: MEASURE_NOT_LISTED
#   title_zh: 惩戒措施不在清单内
#   clause: "Measure 27: no restriction outside the national list and the Hainan supplement."
#   remedy: "Cite a measure of the lists (ids to be checked against the 2025 edition)."
deny contains {"rule": "R74", "code": "MEASURE_NOT_LISTED", "fields": []} if {
	law.purposes.restriction[input.request.purpose]
	not law.measures[input.request.measure]
}

# METADATA
# title: A policy benefit is redeemed with a yes or no
# custom:
#   rule: R75
#   code: BOOLEAN_ONLY
#   title_zh: 政策兑现仅返回是否
#   clause: "Measure 46: eligibility is answered with yes or no."
#   remedy: "Use a product of the form VERIFY."
deny contains {"rule": "R75", "code": "BOOLEAN_ONLY", "fields": []} if {
	law.purposes.boolean[input.request.purpose]
	input.product.form != "VERIFY"
}

# METADATA
# title: A list check shows the hit, the list, the decision number and the date
# custom:
#   rule: R75
#   code: MINIMAL_ANSWER
#   title_zh: 名单核查仅返回最小字段
#   clause: "Measure 29: a list check shows hit, list, decision number and date."
#   remedy: "Ask for the minimal fields only."
drop contains {"rule": "R75", "code": "MINIMAL_ANSWER", "group": i} if {
	law.purposes.minimal[input.request.purpose]
	some i, group in input.fields
	not group.minimal
}

# METADATA
# title: The answer of a list check is minimal
# custom:
#   rule: R75
#   code: MINIMAL_ANSWER
#   title_zh: 名单核查仅返回最小字段
#   clause: "Measure 29: a list check shows hit, list, decision number and date."
#   remedy: "Ask for the minimal fields only."
obligations contains "minimal_answer" if law.purposes.minimal[input.request.purpose]
