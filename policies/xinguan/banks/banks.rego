# METADATA
# title: Banks and the financing platform
# description: What may be asked for financing enterprises, and on whose authorisation (R40 to R46).
package xinguan.banks

import data.xinguan.callers

law := data.law

financing if law.lists.financing_roles[input.caller.role]

# METADATA
# title: The purpose is not the financing of an enterprise
# custom:
#   rule: R40
#   code: PURPOSE
deny contains {"rule": "R40", "code": "PURPOSE", "fields": []} if {
	financing
	not law.purposes.financing[input.request.purpose]
}

# METADATA
# title: The enterprise authorised this recipient, purpose and product
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
deny contains {"rule": "R43", "code": "ROW_LEVEL_MODELLING", "fields": []} if {
	law.purposes.modelling[input.request.purpose]
	law.lists.raw_forms[input.product.form]
}

# METADATA
# title: A joint-modelling group is smaller than k
# custom:
#   rule: R43
#   code: GROUP_TOO_SMALL
deny contains {"rule": "R43", "code": "GROUP_TOO_SMALL", "fields": []} if {
	law.purposes.modelling[input.request.purpose]
	not input.request.whole_product
	input.request.subjects < law.numbers.modelling_group
}

# METADATA
# title: Onward supply to a third party
# custom:
#   rule: R46
#   code: ONWARD_SUPPLY
deny contains {"rule": "R46", "code": "ONWARD_SUPPLY", "fields": []} if {
	law.lists.forbidden_scenarios[input.request.scenario]
}
