# Persons across the border: steps 8 to 16 of domain-rules 5.3, for requests of which personal
# information would still leave: the consent, the impact assessment, and the mechanism that the
# exporter's count asks for.
package xinguan.border

import data.law
import data.xinguan.banks

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
# scope: rule
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

# METADATA
# title: The request is of personal information that isn't sensitive, behind an organisation
ordinary if {
	crossing_persons
	not law.lists.person_kinds[input.request.subject_kind]
	some i, group in input.fields
	group.class == "PI"
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
#   title_zh: 国家机关个人信息须安全评估
#   clause: "PIPL arts 36, 37: personal information of state organs and authorised organisations needs a security assessment."
#   remedy: "Let a licensed agency be the exporter, or obtain an assessment."
deny contains {"rule": "R58", "code": "XB_STATE_PI", "fields": []} if {
	crossing_persons
	input.border.exporter.is_state_organ
	not assessed(personal)
}

# METADATA
# title: No licensed agency is the exporter of record
# custom:
#   rule: R58
#   code: XB_EXPORTER
#   title_zh: 协议未载明持牌出境主体
#   clause: "PIPL arts 38, 39; Regulation on Credit Reporting art. 7: a licensed agency exports information about persons and answers for it, never the platform; the agreement names it."
#   remedy: "Have the agreement name a licensed agency as exporter, and register what it is."
deny contains {"rule": "R58", "code": "XB_EXPORTER", "fields": []} if {
	crossing_persons
	not exporter_of_record
}

exporter_of_record if {
	input.border.exporter.named
	input.border.exporter.stated
	law.lists.exporter_roles[input.border.exporter.role]
	exporter_licensed
}

exporter_licensed if {
	some kind in input.border.exporter.licences
	law.lists.exporter_person_licences[kind]
}

exporter_licensed if {
	not law.lists.person_kinds[input.request.subject_kind]
	some kind in input.border.exporter.licences
	law.lists.exporter_licences[kind]
}

# METADATA
# title: Operators of critical infrastructure need an assessment
# custom:
#   rule: R59
#   code: XB_CIIO
#   title_zh: 关键信息基础设施运营者须安全评估
#   clause: "CAC Order 16 art. 7: an operator of critical infrastructure needs an assessment for any personal information."
#   remedy: "Obtain an assessment."
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
#   title_zh: 无单独同意
#   clause: "PIPL art. 39; Regulation on Credit Reporting art. 18: separate (written) consent naming the recipient abroad."
#   remedy: "Obtain separate consent and cite it; bundled consent is void."
deny contains {"rule": "R60", "code": "XB_CONSENT", "fields": []} if {
	crossing_persons
	not separate_consent
}

separate_consent if {
	banks.consented
	input.consent.cross_border
	input.consent.names_exporter
	law.lists.border_modes[input.consent.mode]
}

# METADATA
# title: The impact assessment is missing or over
# custom:
#   rule: R61
#   code: XB_PIPIA
#   title_zh: 影响评估缺失或过期
#   clause: "PIPL arts 55, 56: an impact assessment precedes the export."
#   remedy: "Complete the impact assessment and register its validity."
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
# scope: rule
# custom:
#   rule: R62
#   code: XB_EXEMPT
#   title_zh: 豁免且不计数
#   clause: "CAC Order 16 arts 4, 5: exempt and not counted."
#   remedy: "Nothing to do."
exempt if law.lists.border_exemptions[input.border.exempt_basis]

exempt if input.switches.art6_exempt

# METADATA
# title: Persons of this exporter this year, this request included
# custom:
#   rule: R63
#   code: XB_COUNTED
#   title_zh: 当年累计人数
#   clause: "CAC Order 16 arts 5, 7, 8: cumulative since 1 January, persons counted once."
#   remedy: "Nothing to do."
persons := input.border.exporter.persons

sensitive_persons := max([input.border.exporter.sensitive_persons, 1]) if {
	sensitive
} else := input.border.exporter.sensitive_persons

# METADATA
# title: The kinds of mechanism that the count asks for; undefined when it asks for none
# custom:
#   rule: R64
#   code: XB_MECHANISM_KIND
#   title_zh: 按人数所需机制
#   clause: "CAC Order 16 arts 7, 8: the count decides between assessment, standard contract and certificate."
#   remedy: "Nothing to do."
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
#   title_zh: 无有效出境机制
#   clause: "CAC Order 16 arts 7, 8; Order 20: at this count an assessment, filing or certificate that is valid, in scope and under its cap is needed."
#   remedy: "Obtain an assessment, a standard-contract filing or a certificate, and register it."
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
# title: A whitelist for persons is bound to the mechanism that the count asks for
# custom:
#   rule: R68
#   code: XB_WHITELIST_UNAPPROVED
#   title_zh: 白名单未经双角色批准或未绑定机制
#   clause: "Measure 60: a whitelist needs approvals of two roles and is bound to the mechanism's scope."
#   remedy: "Complete the second approval and bind the mechanism."
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
# title: The exporter's counters rise with the delivery
# custom:
#   rule: R63
#   code: XB_COUNTED
#   title_zh: 当年累计人数
#   clause: "CAC Order 16 arts 5, 7, 8: cumulative since 1 January, persons counted once."
#   remedy: "Nothing to do."
obligations contains "count_export" if {
	crossing_persons
	not exempt
}

# METADATA
# title: A person sent as ordinary and as sensitive counts in both
# custom:
#   rule: R63
#   code: XB_COUNTED
#   title_zh: 当年累计人数
#   clause: "CAC Order 16 arts 5, 7, 8: cumulative since 1 January, persons counted once."
#   remedy: "Nothing to do."
obligations contains "count_sensitive" if {
	sensitive
	not exempt
}

# METADATA
# title: The ordinary count rises with information that isn't sensitive
# custom:
#   rule: R63
#   code: XB_COUNTED
#   title_zh: 当年累计人数
#   clause: "CAC Order 16 arts 5, 7, 8: cumulative since 1 January, persons counted once."
#   remedy: "Nothing to do."
obligations contains "count_ordinary" if {
	ordinary
	not exempt
}

fired contains "R62" if {
	crossing_persons
	exempt
}

fired contains "R63" if {
	crossing_persons
	not exempt
}
