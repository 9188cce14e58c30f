# METADATA
# title: Banks and the financing platform
# description: What may be asked for financing enterprises, and on whose authorisation (R40 to R46).
package xinguan.banks

import data.law
import data.xinguan.callers

financing if law.lists.financing_roles[input.caller.role]

# METADATA
# title: The purpose is not the financing of an enterprise
# custom:
#   rule: R40
#   code: PURPOSE
#   title_zh: 目的不是企业融资
#   clause: "Measure 52; State Council Office 52 of 2021: not for anything but the financing of enterprises."
#   remedy: "Use a financing purpose: credit, after-loan, guarantee, credit insurance, subsidy, joint modelling."
deny contains {"rule": "R40", "code": "PURPOSE", "fields": []} if {
	financing
	not law.purposes.financing[input.request.purpose]
}

# METADATA
# title: The enterprise authorised this recipient, purpose and product
# scope: rule
enterprise_authorised if consented

enterprise_authorised if input.border.enterprise_authorised

# METADATA
# title: A consent that holds now for this recipient, purpose, product and every subject
consented if {
	input.consent.names_caller
	input.consent.covers_purpose
	input.consent.covers_product
	input.consent.covers_subjects
	input.consent.not_before <= input.now
	input.now < input.consent.not_after
	not withdrawn
}

withdrawn if {
	input.consent.withdrawn_at != null
	input.consent.withdrawn_at <= input.now
}

# METADATA
# title: Commercial secrets and self-declared data need the enterprise's authorisation
# custom:
#   rule: R41
#   code: NO_ENTERPRISE_AUTH
#   title_zh: 无企业授权
#   clause: "Measures 52, 54; Regulation on Credit Reporting art. 29: commercial, self-declared and unpublicised data need the enterprise's authorisation."
#   remedy: "Obtain the enterprise's authorisation for this recipient, purpose, product and all subjects, and cite it."
drop contains {"rule": "R41", "code": "NO_ENTERPRISE_AUTH", "group": i} if {
	not callers.duty
	not enterprise_authorised
	some i, group in input.fields
	group.class == "C"
}

# METADATA
# title: Data of authorities not publicised needs the enterprise's authorisation for financing
# custom:
#   rule: R41
#   code: NO_ENTERPRISE_AUTH
#   title_zh: 无企业授权
#   clause: "Measures 52, 54; Regulation on Credit Reporting art. 29: commercial, self-declared and unpublicised data need the enterprise's authorisation."
#   remedy: "Obtain the enterprise's authorisation for this recipient, purpose, product and all subjects, and cite it."
drop contains {"rule": "R41", "code": "NO_ENTERPRISE_AUTH", "group": i} if {
	financing
	not enterprise_authorised
	some i, group in input.fields
	group.class == "P1"
}

# METADATA
# title: Joint modelling gives models, metrics and scores, never rows
# custom:
#   rule: R43
#   code: ROW_LEVEL_MODELLING
#   title_zh: 联合建模不得返回明细
#   clause: "Measures 21, 52: usable but not visible; joint modelling gives models, metrics and scores only."
#   remedy: "Use a score or index product."
deny contains {"rule": "R43", "code": "ROW_LEVEL_MODELLING", "fields": []} if {
	law.purposes.modelling[input.request.purpose]
	law.lists.raw_forms[input.product.form]
}

# METADATA
# title: A joint-modelling group is smaller than k
# custom:
#   rule: R43
#   code: GROUP_TOO_SMALL
#   title_zh: 建模分组过小
#   clause: "A joint-modelling group is at least k subjects (design value 20)."
#   remedy: "Ask for a larger group."
deny contains {"rule": "R43", "code": "GROUP_TOO_SMALL", "fields": []} if {
	law.purposes.modelling[input.request.purpose]
	not input.request.whole_product
	input.request.subjects < law.numbers.modelling_group
}

# METADATA
# title: The loan has no claim to the interest subsidy
# custom:
#   rule: R45
#   code: NO_SUBSIDY
#   title_zh: 不符合贴息条件
#   clause: "Measure 53: 1 per cent of the actual amount of an unsecured credit loan of up to and including 10 million yuan to a micro, small or medium enterprise of the province, approved on the financing platform."
#   remedy: "State the loan in the request; all four conditions must hold. Use another purpose code for anything else."
deny contains {"rule": "R45", "code": "NO_SUBSIDY", "fields": []} if {
	law.purposes.subsidy[input.request.purpose]
	not subsidised
}

subsidised if {
	input.request.loan.unsecured
	input.request.loan.small_enterprise
	input.request.loan.via_platform
	input.request.loan.amount_fen <= law.numbers.subsidy_loan
}

# METADATA
# title: The subsidy that the loan has a claim to
# custom:
#   rule: R45
#   code: SUBSIDY
#   title_zh: 符合贴息条件
#   clause: "Measure 53: 1 per cent of the actual amount of an unsecured credit loan of up to and including 10 million yuan to a micro, small or medium enterprise of the province, approved on the financing platform."
#   remedy: "Nothing to do."
obligations contains "interest_subsidy" if {
	law.purposes.subsidy[input.request.purpose]
	subsidised
}

fired contains "R45" if {
	law.purposes.subsidy[input.request.purpose]
	subsidised
}

# METADATA
# title: Onward supply to a third party
# custom:
#   rule: R46
#   code: ONWARD_SUPPLY
#   title_zh: 向第三方转供
#   clause: "Regulation on Credit Reporting art. 20: no use beyond the agreed one, no supply to third parties without consent."
#   remedy: "The third party asks under its own licence."
deny contains {"rule": "R46", "code": "ONWARD_SUPPLY", "fields": []} if {
	law.lists.forbidden_scenarios[input.request.scenario]
}
