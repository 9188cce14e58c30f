# METADATA
# title: Callers and licences
# description: Who may ask at all, and for what (R30 to R34, and the gateway's own checks).
package xinguan.callers

law := data.law

# METADATA
# title: A caller acting in its own public duty
duty if law.lists.duty_roles[input.caller.role]

# METADATA
# title: The caller's party is not active
# custom:
#   rule: GATE
#   code: PARTY_SUSPENDED
deny contains {"rule": "GATE", "code": "PARTY_SUSPENDED", "fields": []} if input.caller.status != "ACTIVE"

# METADATA
# title: The certificate was revoked
# custom:
#   rule: GATE
#   code: CERTIFICATE_REVOKED
deny contains {"rule": "GATE", "code": "CERTIFICATE_REVOKED", "fields": []} if {
	input.caller.certificate.status != "ACTIVE"
}

# METADATA
# title: The certificate is not valid now
# custom:
#   rule: GATE
#   code: CERTIFICATE_EXPIRED
deny contains {"rule": "GATE", "code": "CERTIFICATE_EXPIRED", "fields": []} if not certificate_in_time

certificate_in_time if {
	input.caller.certificate.not_before <= input.now
	input.now <= input.caller.certificate.not_after
}

# METADATA
# title: No licence or filing that holds now
# custom:
#   rule: R30
#   code: NO_LICENCE
deny contains {"rule": "R30", "code": "NO_LICENCE", "fields": []} if not licensed

licensed if {
	input.licence.status == "ACTIVE"
	input.licence.party == input.caller.party
	input.licence.not_before <= input.now
	input.now < input.licence.not_after
	law.role_licences[input.caller.role][input.licence.kind]
}

# METADATA
# title: A natural person is asked about without a personal credit licence
# custom:
#   rule: R31
#   code: NO_PERSONAL_LICENCE
deny contains {"rule": "R31", "code": "NO_PERSONAL_LICENCE", "fields": []} if {
	law.lists.person_kinds[input.request.subject_kind]
	law.lists.personal_licence_roles[input.caller.role]
	not personally_licensed
}

# METADATA
# title: The licence permits personal credit business
personally_licensed if {
	input.licence.kind == "PERSONAL_CREDIT_LICENCE"
	licensed
}

# METADATA
# title: Product, purpose, scenario, destination or kind of subject outside the agreement, or its term over
# custom:
#   rule: R32
#   code: OUT_OF_SCOPE
deny contains {"rule": "R32", "code": "OUT_OF_SCOPE", "fields": []} if {
	input.licence != null
	not in_scope
}

in_scope if {
	input.licence.covers.product
	input.licence.covers.purpose
	input.licence.covers.scenario
	input.licence.covers.destination
	input.licence.covers.subject_kind
	input.licence.agreement.not_before <= input.now
	input.now < input.licence.agreement.not_after
}

# METADATA
# title: A field outside the grant is dropped
# custom:
#   rule: R32
#   code: OUT_OF_SCOPE
drop contains {"rule": "R32", "code": "OUT_OF_SCOPE", "group": i} if {
	input.licence.covers.product
	some i, group in input.fields
	not group.granted
}

# METADATA
# title: A purpose of public bodies is claimed by another caller
# custom:
#   rule: R32
#   code: PUBLIC_PURPOSE
deny contains {"rule": "R32", "code": "PUBLIC_PURPOSE", "fields": []} if {
	law.purposes.public_only[input.request.purpose]
	not duty
}

# METADATA
# title: The data product is not registered
# custom:
#   rule: R33
#   code: UNREGISTERED_PRODUCT
deny contains {"rule": "R33", "code": "UNREGISTERED_PRODUCT", "fields": []} if {
	not input.product.registered
	not duty
	input.switches.require_registration
}

# METADATA
# title: Raw public data that is not publicised stays inside
# custom:
#   rule: R34
#   code: RAW_EGRESS
drop contains {"rule": "R34", "code": "RAW_EGRESS", "group": i} if {
	law.lists.raw_forms[input.product.form]
	not duty
	some i, group in input.fields
	group.class == "P1"
}

# METADATA
# title: No field is asked for
# custom:
#   rule: GATE
#   code: BAD_REQUEST
deny contains {"rule": "GATE", "code": "BAD_REQUEST", "fields": []} if count(input.fields) == 0

# METADATA
# title: The product holds no such kind of subject
# custom:
#   rule: GATE
#   code: SUBJECT_KIND_MISMATCH
deny contains {"rule": "GATE", "code": "SUBJECT_KIND_MISMATCH", "fields": []} if {
	not input.request.subject_kind in input.product.subject_kinds
}

# METADATA
# title: The portfolio is smaller than the grant's minimum
# custom:
#   rule: GATE
#   code: PORTFOLIO_TOO_SMALL
deny contains {"rule": "GATE", "code": "PORTFOLIO_TOO_SMALL", "fields": []} if {
	not input.request.whole_product
	input.request.subjects < input.licence.minimum_subjects
}
