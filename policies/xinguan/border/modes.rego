# Modes of mutual recognition (domain-rules 8), across the border and between regions: what a
# partner's terms allow, which tables have to be in effect, and what a destination's law keeps out.
# The terms and tables are signed elsewhere; the input tells what they cover of this request.
package xinguan.border

import data.law

mode := input.recognition.mode

partner if law.lists.partner_roles[input.caller.role]

in_effect(document) if {
	document.not_before <= input.now
	not withdrawn(document)
}

withdrawn(document) if {
	document.withdrawn_at != null
	document.withdrawn_at <= input.now
}

terms_in_effect if {
	in_effect(input.recognition.terms)
	input.now < input.recognition.terms.not_after
}

# A plain query, or a credential, of a partner that never had terms rests on its licence and
# whitelist alone.
terms_needed if {
	partner
	not mode in {"", "CREDENTIAL"}
	input.recognition != null
}

terms_needed if {
	partner
	input.recognition.terms != null
}

# METADATA
# title: The partner's agreement has no terms in effect
# custom:
#   rule: R52
#   code: XB_TERMS
#   title_zh: 互认协议条款未生效
#   clause: "Measures 22, 58: a partner is answered on the terms of a recognition agreement that are in effect."
#   remedy: "Have the terms signed by the authority, or approved by two roles, within their term."
deny contains {"rule": "R52", "code": "XB_TERMS", "fields": []} if {
	terms_needed
	not terms_in_effect
}

# METADATA
# title: A mode outside the agreement
# custom:
#   rule: R52
#   code: XB_MODE
#   title_zh: 互认方式超出协议
#   clause: "Measures 22, 58: the agreement names the modes in which a partner is answered."
#   remedy: "Use a mode of the agreement, or have its terms extended."
deny contains {"rule": "R52", "code": "XB_MODE", "fields": []} if {
	terms_in_effect
	partner
	not input.recognition.terms.covers.mode
}

# METADATA
# title: A purpose outside the agreement's terms
# custom:
#   rule: R52
#   code: XB_TERMS_PURPOSE
#   title_zh: 目的超出协议条款
#   clause: "Measures 22, 59; PBOC Order 4 of 2021: only the purposes that the agreement names."
#   remedy: "Use a purpose of the agreement's terms."
deny contains {"rule": "R52", "code": "XB_TERMS_PURPOSE", "fields": []} if {
	terms_in_effect
	partner
	not input.recognition.terms.covers.purpose
}

# METADATA
# title: A place or an end use outside the agreement's terms
# custom:
#   rule: R52
#   code: XB_TERMS_USE
#   title_zh: 使用地或最终用途超出协议条款
#   clause: "Measure 58; Network Data Regulation art. 12: the agreement binds where and to what end an answer is used."
#   remedy: "Ask for a destination and a scenario of the agreement's terms."
deny contains {"rule": "R52", "code": "XB_TERMS_USE", "fields": []} if {
	terms_in_effect
	partner
	not use_agreed
}

use_agreed if {
	input.recognition.terms.covers.jurisdiction
	input.recognition.terms.covers.end_use
}

# METADATA
# title: No mapping table in effect
# custom:
#   rule: R52
#   code: XB_MAPPING
#   title_zh: 无生效的等级对照表
#   clause: "Measures 22, 58: a grade is told abroad or to another region by a signed mapping table in effect only."
#   remedy: "Have a mapping table of this partner and product signed, for this purpose."
deny contains {"rule": "R52", "code": "XB_MAPPING", "fields": []} if {
	mode == "GRADE_MAP"
	not mapped
}

mapped if {
	in_effect(input.recognition.mapping)
	input.recognition.mapping.covers_purpose
	input.recognition.mapping.covers_field
}

# METADATA
# title: A mapping between scores for incentives serves incentives only
# custom:
#   rule: R70
#   code: INCENTIVE_ONLY
#   title_zh: 金椰分仅用于激励
#   clause: "Measure 12: the golden coconut score serves incentives only."
#   remedy: "Use an incentive purpose: public service, utility, community, deposit-free."
deny contains {"rule": "R70", "code": "INCENTIVE_ONLY", "fields": []} if {
	input.recognition.mapping.incentive
	not law.purposes.incentive[input.request.purpose]
}

# METADATA
# title: The destination has no field table in effect
# custom:
#   rule: R54
#   code: XB_FIELD_TABLE
#   title_zh: 目的地字段对照表未生效
#   clause: "Measure 58: a report is told in the destination's own fields, by a signed table in effect that keeps out what its law keeps out."
#   remedy: "Have the field table of the destination signed, or use a mode that needs none."
deny contains {"rule": "R54", "code": "XB_FIELD_TABLE", "fields": []} if {
	crossing
	table_needed
	not in_effect(input.recognition.table)
}

table_needed if mode == "FULL_REPORT"

# A table that was withdrawn kept something out: nothing goes there until the next one.
table_needed if input.recognition.table != null

# METADATA
# title: The destination forbids the field
# custom:
#   rule: R54
#   code: XB_DESTINATION
#   title_zh: 目的地法律禁止接收的字段
#   clause: "The destination's law, as its signed field table states it, keeps this field out; the table says how well that is confirmed."
#   remedy: "Leave the field out."
drop contains {"rule": "R54", "code": "XB_DESTINATION", "group": i} if {
	crossing
	some i, group in input.fields
	group.forbidden_there
}

# METADATA
# title: Records that are too old in the destination
# custom:
#   rule: R66
#   code: XB_DESTINATION_AGE
#   title_zh: 超过目的地保存年限的记录
#   clause: "The destination's law, as its signed field table states it, keeps out older records; the table says how well that is confirmed."
#   remedy: "Nothing to do."
predicates contains {"field": field, "op": "ge", "value": since} if {
	crossing
	some field, since in input.recognition.table.oldest
}

# METADATA
# title: A status is told by status fields only
# custom:
#   rule: R54
#   code: XB_STATUS_FIELDS
#   title_zh: 状态核验仅限状态字段
#   clause: "Measures 43, 58: a status check tells whether a status holds, from status fields only (design value)."
#   remedy: "Ask for status fields only, or in a mode of higher risk that the agreement names."
drop contains {"rule": "R54", "code": "XB_STATUS_FIELDS", "group": i} if {
	mode == "STATUS_ONLY"
	some i, group in input.fields
	some name in group.names
	not law.lists.status_fields[concat("/", [input.product.name, name])]
}

# METADATA
# title: Persons are not recognised across the border, and reports are on enterprises
# custom:
#   rule: R54
#   code: XB_ENTERPRISE_ONLY
#   title_zh: 仅限企业
#   clause: "Measure 58; the cross-border whitelist holds enterprises only (design value)."
#   remedy: "Ask about an enterprise."
deny contains {"rule": "R54", "code": "XB_ENTERPRISE_ONLY", "fields": []} if {
	law.lists.person_kinds[input.request.subject_kind]
	enterprise_only
}

enterprise_only if mode in {"HASH_CHECK", "STATUS_ONLY", "CREDENTIAL", "FULL_REPORT"}

enterprise_only if {
	crossing
	mode == "GRADE_MAP"
}

# METADATA
# title: The product does not fit the mode
# custom:
#   rule: R54
#   code: XB_MODE_PRODUCT
#   title_zh: 产品与互认方式不符
#   clause: "Measures 43, 58: digests of reports are confirmed, and grades mapped, from the products made for it only."
#   remedy: "Ask for a product that fits the mode."
deny contains {"rule": "R54", "code": "XB_MODE_PRODUCT", "fields": []} if not product_fits

product_fits if {
	law.lists.recognition_products[input.product.name]
	mode == "HASH_CHECK"
}

product_fits if {
	not law.lists.recognition_products[input.product.name]
	not mode_bound
}

product_fits if {
	mode == "GRADE_MAP"
	law.lists.graded_products[input.product.name]
}

mode_bound if mode in {"HASH_CHECK", "GRADE_MAP"}
