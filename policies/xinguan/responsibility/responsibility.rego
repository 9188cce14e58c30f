# METADATA
# title: Responsibility and security
# description: Who manages answers for it, who uses answers for it (R80 to R87).
package xinguan.responsibility

import data.law

# METADATA
# title: The chain of manager, transmitter and user is not complete
# custom:
#   rule: R80
#   code: NO_RESPONSIBILITY
#   title_zh: 责任链不完整
#   clause: "Measure 23: who manages and who uses answers for it; the whole chain is named."
#   remedy: "The operator completes the registered chain of manager, transmitter and user."
deny contains {"rule": "R80", "code": "NO_RESPONSIBILITY", "fields": []} if not chain_complete

chain_complete if {
	complete(input.responsibility.manager)
	complete(input.responsibility.transmitter)
	complete(input.responsibility.user)
}

complete(hop) if {
	hop.uscc != ""
	hop.signer != ""
	hop.timed
}

# METADATA
# title: Institution, user, time, reason or subject is missing for the access log
# custom:
#   rule: R82
#   code: LOG_FIELDS_MISSING
#   title_zh: 日志要素缺失
#   clause: "Regulation on Credit Reporting art. 22; JR/T 0117: institution, user, time, reason and subject are logged."
#   remedy: "Name the operator, the case and the purpose in the request."
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
#   title_zh: 审计与管理角色不得查询业务数据
#   clause: "Separation of duties: auditing and administering roles don't query live data."
#   remedy: "Use the audit service; content comes from the sealed vault with two persons."
deny contains {"rule": "R86", "code": "NO_BUSINESS_ROLE", "fields": []} if {
	law.lists.no_business_roles[input.caller.role]
}

# METADATA
# title: An emergency stop is on
# custom:
#   rule: R87
#   code: EMERGENCY_STOP
#   title_zh: 紧急停止中
#   clause: "Measure 24: emergency plan; while a stop is on nothing leaves."
#   remedy: "Wait until the operator lifts the stop."
deny contains {"rule": "R87", "code": "EMERGENCY_STOP", "fields": []} if count(input.stop_orders) > 0
