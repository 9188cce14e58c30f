# METADATA
# title: Across the border
# description: >-
#   R50 to R65 are steps 1 to 16 of domain-rules 5.3, in that order; R67 keeps domestic regions
#   out of this path and R68 asks two approvals. Steps 9 to 16 concern personal information only.
#   Step 6 (R55) is on records, so it is a row predicate; step 14 (R63) is the exporter's counter,
#   whose value, this request included, stands in the input.
package xinguan.border

import data.law
import data.xinguan.banks

crossing if input.border != null

# METADATA
# title: What the rules of the border say, taken together
# scope: document
# description: >-
#   Nothing of a request that doesn't concern them, which most don't: to ask each of these rules
#   all the same took a twelfth of the time that a decision takes.
default said := {
	"deny": set(),
	"drop": set(),
	"fired": set(),
	"generalised": set(),
	"obligations": set(),
	"predicates": set(),
}

said := {
	"deny": deny,
	"drop": drop,
	"fired": fired,
	"generalised": generalised,
	"obligations": obligations,
	"predicates": predicates,
} if {
	concerned
}

# METADATA
# title: A request that some rule of the border may have something to say about
# scope: document
# description: Each rule in this package needs one of these; a test asks them without this line.
concerned if crossing

concerned if input.recognition != null

concerned if leaves_the_country

concerned if law.lists.recognition_products[input.product.name]

# METADATA
# title: Foreign judicial and law-enforcement bodies
# custom:
#   rule: R50
#   code: XB_FOREIGN_AUTHORITY
#   title_zh: 外国司法或执法机构
#   clause: "PIPL art. 41, DSL art. 36: nothing for foreign judicial or law-enforcement bodies without approval."
#   remedy: "Take the way of judicial assistance, with the competent authority's approval."
deny contains {"rule": "R50", "code": "XB_FOREIGN_AUTHORITY", "fields": []} if input.border.is_judicial

# METADATA
# title: The recipient is on the restricted list
# custom:
#   rule: R51
#   code: XB_RESTRICTED
#   title_zh: 接收方受限
#   clause: "PIPL art. 42: the recipient is on the restricted list."
#   remedy: "Nothing is provided until it is off the list."
deny contains {"rule": "R51", "code": "XB_RESTRICTED", "fields": []} if input.border.restricted

# METADATA
# title: No valid agreement, or a purpose that may not cross
# custom:
#   rule: R52
#   code: XB_PURPOSE
#   title_zh: 无有效协议或目的不可出境
#   clause: "Measure 59; PBOC Order 4 of 2021: trade, investment and financing, insurance and factoring, settlement risk, under a valid agreement."
#   remedy: "Use one of these purposes, as agreed."
deny contains {"rule": "R52", "code": "XB_PURPOSE", "fields": []} if {
	crossing
	not purpose_agreed
}

purpose_agreed if {
	law.purposes.border[input.request.purpose]
	input.licence.covers.purpose
	input.licence.kind == "RECOGNITION_AGREEMENT"
	input.licence.agreement.not_before <= input.now
	input.now < input.licence.agreement.not_after
}

# METADATA
# title: Important data without an assessment
# custom:
#   rule: R53
#   code: XB_IMPORTANT
#   title_zh: 重要数据无安全评估
#   clause: "Network Data Regulation art. 37; CAC Order 16 art. 7: important data needs a security assessment."
#   remedy: "Obtain an assessment whose scope covers it."
deny contains {"rule": "R53", "code": "XB_IMPORTANT", "fields": []} if {
	input.border.important_data
	not assessed(all_names)
}

# METADATA
# title: A field that the whitelist in effect doesn't name is dropped
# custom:
#   rule: R54
#   code: XB_NOT_WHITELISTED
#   title_zh: 字段不在白名单
#   clause: "Measures 58, 60: only fields of the whitelist in effect for this partner and product."
#   remedy: "Have the whitelist extended (approved by two roles)."
drop contains {"rule": "R54", "code": "XB_NOT_WHITELISTED", "group": i} if {
	crossing
	some i, group in input.fields
	not whitelisted(group)
}

whitelisted(group) if {
	group.whitelisted
	whitelist_in_effect
}

whitelist_in_effect if {
	input.border.whitelist.not_before <= input.now
	not whitelist_withdrawn
}

whitelist_withdrawn if {
	input.border.whitelist.withdrawn_at != null
	input.border.whitelist.withdrawn_at <= input.now
}

# METADATA
# title: A field that its contract keeps inside is dropped
# custom:
#   rule: R54
#   code: XB_DEFAULT_DENY
#   title_zh: 契约规定不出境的字段
#   clause: "The field's contract keeps it inside the country."
#   remedy: "Leave the field out."
drop contains {"rule": "R54", "code": "XB_DEFAULT_DENY", "group": i} if {
	crossing
	some i, group in input.fields
	kept_inside(group)
}

kept_inside(group) if group.border == "D"

kept_inside(group) if {
	group.border == "T"
	not group.transform
}

# METADATA
# title: A field that crosses only transformed
# custom:
#   rule: R54
#   code: XB_TRANSFORM
#   title_zh: 须泛化后出境
#   clause: "The field crosses only generalised."
#   remedy: "Nothing to do."
generalised contains i if {
	crossing
	some i, group in input.fields
	group.border == "T"
}

# METADATA
# title: Only active or disputed records cross
# custom:
#   rule: R55
#   code: XB_RECORD_STATE
#   title_zh: 仅有效或异议中的记录出境
#   clause: "Measures 32, 34: records no longer shared never cross."
#   remedy: "Nothing to do."
predicates contains {"field": "share_state", "op": "in", "value": ["ACTIVE", "DISPUTED"]} if {
	crossing
	input.product.adverse
	"share_state" in input.product.columns
}

# METADATA
# title: Data not publicised crosses on the enterprise's authorisation only
# custom:
#   rule: R56
#   code: XB_NOT_AUTHORISED
#   title_zh: 未公示信息出境须企业授权
#   clause: "Measure 21; Regulation on Credit Reporting art. 29: unpublicised or commercial data crosses on the enterprise's authorisation only."
#   remedy: "Obtain the enterprise's authorisation for the export."
drop contains {"rule": "R56", "code": "XB_NOT_AUTHORISED", "group": i} if {
	crossing
	not banks.enterprise_authorised
	some i, group in input.fields
	group.class in {"P1", "C"}
}

# METADATA
# title: Personal adverse information older than five years
# custom:
#   rule: R66
#   code: XB_TOO_OLD
#   title_zh: 个人不良信息超过五年
#   clause: "Regulation on Credit Reporting art. 16: personal adverse information is kept five years."
#   remedy: "Nothing to do."
predicates contains {"field": "determination_date", "op": "ge", "value": input.calendar.adverse_since} if {
	crossing
	input.product.adverse
	law.lists.person_kinds[input.request.subject_kind]
	"determination_date" in input.product.columns
}

# METADATA
# title: Domestic regions never use this path, and nothing crosses outside it
# custom:
#   rule: R67
#   code: XB_WRONG_PATH
#   title_zh: 走错通道
#   clause: "Measure 22: domestic regions don't use the export path, and anything used outside (Hong Kong, Macao, Taiwan included) must."
#   remedy: "Ask as a registered cross-border partner, or use the data inside the country."
deny contains {"rule": "R67", "code": "XB_WRONG_PATH", "fields": []} if {
	crossing
	input.caller.role == "REGIONAL_PARTNER"
}

# METADATA
# title: What is used outside the country takes the export path
# custom:
#   rule: R67
#   code: XB_WRONG_PATH
#   title_zh: 走错通道
#   clause: "Measure 22: domestic regions don't use the export path, and anything used outside (Hong Kong, Macao, Taiwan included) must."
#   remedy: "Ask as a registered cross-border partner, or use the data inside the country."
deny contains {"rule": "R67", "code": "XB_WRONG_PATH", "fields": []} if {
	not crossing
	leaves_the_country
}

leaves_the_country if input.caller.jurisdiction != "CN"

leaves_the_country if input.request.destination != "CN"

leaves_the_country if law.lists.outside_roles[input.caller.role]

# METADATA
# title: The whitelist lacks two approvals of different roles
# custom:
#   rule: R68
#   code: XB_WHITELIST_UNAPPROVED
#   title_zh: 白名单未经双角色批准或未绑定机制
#   clause: "Measure 60: a whitelist needs approvals of two roles and is bound to the mechanism's scope."
#   remedy: "Complete the second approval and bind the mechanism."
deny contains {"rule": "R68", "code": "XB_WHITELIST_UNAPPROVED", "fields": []} if {
	whitelist_in_effect
	count(input.border.whitelist.approvals) < law.numbers.whitelist_approvals
}

# METADATA
# title: The mechanism that binds the whitelist stands no more, or is narrower than the list
# custom:
#   rule: R68
#   code: XB_WHITELIST_MECHANISM
#   title_zh: 白名单所绑定的机制已失效或范围不足
#   clause: "Measure 60: a whitelist holds no longer and reaches no further than the mechanism that it is bound to."
#   remedy: "Renew or resume the mechanism, or have a whitelist inside its scope approved."
deny contains {"rule": "R68", "code": "XB_WHITELIST_MECHANISM", "fields": []} if {
	whitelist_in_effect
	input.border.whitelist.mechanism != ""
	not mechanism_stands
}

# A mechanism that is suspended or withdrawn is not told to the policy at all.
mechanism_stands if {
	input.border.whitelist.within_scope
	some mechanism in input.border.mechanisms
	mechanism.id == input.border.whitelist.mechanism
	mechanism.not_before <= input.now
	input.now < mechanism.not_after
}

# METADATA
# title: More than one subject, or a whole product, across the border
# custom:
#   rule: R53
#   code: XB_BULK
#   title_zh: 批量出境
#   clause: "Credit data in bulk could be important data; by default one subject per request (design value)."
#   remedy: "Ask one by one, or have the switch set on a written opinion."
deny contains {"rule": "R53", "code": "XB_BULK", "fields": []} if {
	crossing
	not input.switches.border_bulk
	bulk
}

bulk if input.request.whole_product

bulk if input.request.subjects > law.numbers.border_subjects

# METADATA
# title: Every export is recorded, and one of persons is counted
# custom:
#   rule: R57
#   code: XB_RECORDED
#   title_zh: 出境留痕
#   clause: "Network Data Regulation art. 12: records of provision are kept three years."
#   remedy: "Nothing to do."
obligations contains "border_record" if crossing

fired contains "R57" if {
	crossing
	not crossing_persons
}

fired contains "R54" if count(generalised) > 0
