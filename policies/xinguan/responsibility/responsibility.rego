# METADATA
# title: Responsibility and security
# description: Who manages answers for it, who uses answers for it (R80 to R87).
package xinguan.responsibility

law := data.law

# METADATA
# title: The chain of manager, transmitter and user is not complete
# custom:
#   rule: R80
#   code: NO_RESPONSIBILITY
deny contains {"rule": "R80", "code": "NO_RESPONSIBILITY", "fields": []} if not chain_complete

chain_complete if {
	complete(input.responsibility.manager)
	complete(input.responsibility.transmitter)
	complete(input.responsibility.user)
}

complete(hop) if {
	hop.uscc != ""
	hop.signer != ""
	hop.at > 0
	hop.at <= input.now
}

# METADATA
# title: Institution, user, time, reason or subject is missing for the access log
# custom:
#   rule: R82
#   code: LOG_FIELDS_MISSING
deny contains {"rule": "R82", "code": "LOG_FIELDS_MISSING", "fields": []} if not log_fields

log_fields if {
	input.request.operator_named
	input.request.purpose != ""
}

# METADATA
# title: A role that administers or audits asks for record content
# custom:
#   rule: R86
#   code: NO_BUSINESS_ROLE
deny contains {"rule": "R86", "code": "NO_BUSINESS_ROLE", "fields": []} if {
	law.lists.no_business_roles[input.caller.role]
}

# METADATA
# title: An emergency stop is on
# custom:
#   rule: R87
#   code: EMERGENCY_STOP
deny contains {"rule": "R87", "code": "EMERGENCY_STOP", "fields": []} if count(input.stop_orders) > 0
