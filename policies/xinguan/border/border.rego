# METADATA
# title: Across the border
# description: >-
#   R50 to R65 are steps 1 to 16 of domain-rules 5.3, in that order; R67 keeps domestic regions
#   out of this path and R68 asks two approvals. Steps 9 to 16 concern personal information only.
#   Step 6 (R55) is on records, so it is a row predicate; step 14 (R63) is the exporter's counter,
#   whose value, this request included, stands in the input.
package xinguan.border

import data.xinguan.banks

law := data.law

crossing if input.border != null

# METADATA
# title: Foreign judicial and law-enforcement bodies
# custom:
#   rule: R50
#   code: XB_FOREIGN_AUTHORITY
deny contains {"rule": "R50", "code": "XB_FOREIGN_AUTHORITY", "fields": []} if input.border.is_judicial

# METADATA
# title: The recipient is on the restricted list
# custom:
#   rule: R51
#   code: XB_RESTRICTED
deny contains {"rule": "R51", "code": "XB_RESTRICTED", "fields": []} if input.border.restricted

# METADATA
# title: No valid agreement, or a purpose that may not cross
# custom:
#   rule: R52
#   code: XB_PURPOSE
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
deny contains {"rule": "R53", "code": "XB_IMPORTANT", "fields": []} if {
	input.border.important_data
	not assessed(all_names)
}

# METADATA
# title: A field that the whitelist in effect doesn't name is dropped
# custom:
#   rule: R54
#   code: XB_NOT_WHITELISTED
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
drop contains {"rule": "R56", "code": "XB_NOT_AUTHORISED", "group": i} if {
	crossing
	not banks.enterprise_authorised
	some i, group in input.fields
	group.class in {"P1", "C"}
}

# METADATA
# title: Personal information that would still leave
personal := {name |
	some i, group in input.fields
	is_personal(group)
	not lost[i]
	some name in group.names
}

is_personal(group) if group.class in {"PI", "SPI"}

is_personal(_) if law.lists.person_kinds[input.request.subject_kind]

lost := {d.group | some d in drop}

crossing_persons if {
	crossing
	count(personal) > 0
}

# METADATA
# title: The request is of sensitive personal information
# description: All credit data about a person is treated as sensitive (domain-rules 3.3).
sensitive if {
	crossing_persons
	law.lists.person_kinds[input.request.subject_kind]
}

sensitive if {
	crossing_persons
	some i, group in input.fields
	group.class == "SPI"
	not lost[i]
}

all_names := {name | some group in input.fields; some name in group.names}

assessed(names) if {
	some mechanism in input.border.mechanisms
	mechanism.kind == "ASSESSMENT"
	holds(mechanism, names)
}

holds(mechanism, names) if {
	mechanism.not_before <= input.now
	input.now < mechanism.not_after
	mechanism.names_recipient
	mechanism.covers_purpose
	count(names - {name | some name in mechanism.fields}) == 0
	within_cap(mechanism)
}

within_cap(mechanism) if mechanism.scale_cap == 0

within_cap(mechanism) if {
	input.border.exporter.persons + input.border.exporter.sensitive_persons <= mechanism.scale_cap
}

# METADATA
# title: Personal information of state organs needs an assessment
# custom:
#   rule: R58
#   code: XB_STATE_PI
deny contains {"rule": "R58", "code": "XB_STATE_PI", "fields": []} if {
	crossing_persons
	input.border.exporter.is_state_organ
	not assessed(personal)
}

# METADATA
# title: Operators of critical infrastructure need an assessment
# custom:
#   rule: R59
#   code: XB_CIIO
deny contains {"rule": "R59", "code": "XB_CIIO", "fields": []} if {
	crossing_persons
	input.border.exporter.is_ciio
	not assessed(personal)
}

# METADATA
# title: No separate consent for this recipient abroad
# custom:
#   rule: R60
#   code: XB_CONSENT
deny contains {"rule": "R60", "code": "XB_CONSENT", "fields": []} if {
	crossing_persons
	not separate_consent
}

separate_consent if {
	banks.consented
	input.consent.cross_border
	law.lists.border_modes[input.consent.mode]
}

# METADATA
# title: The impact assessment is missing or over
# custom:
#   rule: R61
#   code: XB_PIPIA
deny contains {"rule": "R61", "code": "XB_PIPIA", "fields": []} if {
	crossing_persons
	not impact_assessed
}

impact_assessed if {
	input.border.impact_assessment_until != null
	input.now < input.border.impact_assessment_until
}

# METADATA
# title: Transfers that are exempt and not counted
# custom:
#   rule: R62
#   code: XB_EXEMPT
exempt if law.lists.border_exemptions[input.border.exempt_basis]

exempt if input.switches.art6_exempt

# METADATA
# title: Persons of this exporter this year, this request included
# custom:
#   rule: R63
#   code: XB_COUNTED
persons := input.border.exporter.persons

sensitive_persons := max([input.border.exporter.sensitive_persons, 1]) if {
	sensitive
} else := input.border.exporter.sensitive_persons

# METADATA
# title: The kinds of mechanism that the count asks for; undefined when it asks for none
# custom:
#   rule: R64
#   code: XB_MECHANISM_KIND
needed := {"ASSESSMENT"} if {
	sensitive_persons >= law.numbers.export_sensitive_assessment
} else := {"ASSESSMENT"} if {
	persons >= law.numbers.export_persons_assessment
} else := {"ASSESSMENT", "SCC", "CERT"} if {
	sensitive_persons >= law.numbers.export_sensitive_contract
} else := {"ASSESSMENT", "SCC", "CERT"} if {
	persons >= law.numbers.export_persons_contract
}

# METADATA
# title: No valid mechanism of the kind that the count asks for, in scope and under its cap
# custom:
#   rule: R65
#   code: XB_MECHANISM
deny contains {"rule": "R65", "code": "XB_MECHANISM", "fields": []} if {
	crossing_persons
	not exempt
	needed
	not mechanism_holds
}

mechanism_holds if {
	some mechanism in input.border.mechanisms
	needed[mechanism.kind]
	holds(mechanism, personal)
}

# METADATA
# title: Personal adverse information older than five years
# custom:
#   rule: R66
#   code: XB_TOO_OLD
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
deny contains {"rule": "R67", "code": "XB_WRONG_PATH", "fields": []} if {
	crossing
	input.caller.role == "REGIONAL_PARTNER"
}

deny contains {"rule": "R67", "code": "XB_WRONG_PATH", "fields": []} if {
	not crossing
	leaves_the_country
}

leaves_the_country if input.caller.jurisdiction != "CN"

leaves_the_country if input.request.destination != "CN"

leaves_the_country if law.lists.outside_roles[input.caller.role]

# METADATA
# title: The whitelist lacks two approvals of different roles, or isn't bound to a mechanism
# custom:
#   rule: R68
#   code: XB_WHITELIST_UNAPPROVED
deny contains {"rule": "R68", "code": "XB_WHITELIST_UNAPPROVED", "fields": []} if {
	whitelist_in_effect
	count(input.border.whitelist.approvals) < law.numbers.whitelist_approvals
}

deny contains {"rule": "R68", "code": "XB_WHITELIST_UNAPPROVED", "fields": []} if {
	crossing_persons
	whitelist_in_effect
	not exempt
	needed
	not whitelist_bound
}

whitelist_bound if {
	some mechanism in input.border.mechanisms
	mechanism.id == input.border.whitelist.mechanism
	holds(mechanism, personal)
}

# METADATA
# title: More than one subject, or a whole product, across the border
# custom:
#   rule: R53
#   code: XB_BULK
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
obligations contains "border_record" if crossing

# METADATA
# title: The exporter's counters rise with the delivery
# custom:
#   rule: R63
#   code: XB_COUNTED
obligations contains "count_export" if {
	crossing_persons
	not exempt
}

fired contains "R57" if {
	crossing
	not crossing_persons
}

fired contains "R62" if {
	crossing_persons
	exempt
}

fired contains "R63" if {
	crossing_persons
	not exempt
}

fired contains "R54" if count(generalised) > 0
