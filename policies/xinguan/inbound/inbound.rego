# METADATA
# title: Credit documents from abroad, and users behind a foreign bureau
# description: >-
#   M58 the other way round: what an issuer abroad stated about a foreign firm is read here by banks
#   and agencies, under the agreement with that issuer. Whoever asks for somebody else names that
#   user, on both sides of the border (征信业务管理办法). Records of an issuer that is not in force
#   are withheld by a row predicate, so that a withdrawal holds for the next batch of any answer.
package xinguan.inbound

import data.law

# METADATA
# title: The request is for what issuers abroad stated
foreign if input.inbound.issuers

# METADATA
# title: The issuers whose records may leave now
in_force contains issuer.id if {
	some issuer in input.inbound.issuers
	issuer.not_before <= input.now
	issuer.agreement.not_before <= input.now
	input.now < issuer.agreement.not_after
	issuer.onward_use != ""
	not withdrawn(issuer)
}

withdrawn(issuer) if {
	issuer.withdrawn_at != null
	issuer.withdrawn_at <= input.now
}

# METADATA
# title: Neither a bank nor an agency of the province
# custom:
#   rule: R32
#   code: FOREIGN_READER
#   title_zh: 境外信用信息的使用方
#   clause: "Measures 58, 59: credit documents of recognised issuers abroad are served to banks and agencies; under the agreements they go nowhere else."
#   remedy: "Let the bank or agency that decides on the business ask, inside the country."
deny contains {"rule": "R32", "code": "FOREIGN_READER", "fields": []} if {
	foreign
	not reader
}

reader if {
	law.lists.foreign_readers[input.caller.role]
	input.caller.jurisdiction == "CN"
	input.request.destination == "CN"
}

# METADATA
# title: No issuer abroad is in force
# custom:
#   rule: R52
#   code: NO_FOREIGN_ISSUER
#   title_zh: 无有效境外签发机构
#   clause: "Measure 58: mutual recognition rests on an agreement with the issuer that is in force."
#   remedy: "Wait until the operator has registered an issuer under an agreement in force."
deny contains {"rule": "R52", "code": "NO_FOREIGN_ISSUER", "fields": []} if {
	foreign
	count(in_force) == 0
}

# METADATA
# title: Records of issuers that are not in force are withheld
# custom:
#   rule: R52
#   code: FOREIGN_ISSUER
#   title_zh: 仅限有效的境外签发机构
#   clause: "Measure 58: what an issuer stated is served while its registration and its agreement hold."
#   remedy: "Nothing to do."
predicates contains {"field": "issuer", "op": "in", "value": sort(in_force)} if foreign

# METADATA
# title: The user behind a foreign bureau is not named
# custom:
#   rule: R52
#   code: END_USER_MISSING
#   title_zh: 未指明境外征信机构的最终使用者
#   clause: "PBOC Order 4 of 2021: the identity of the user and the purpose are checked; behind a foreign bureau both are named in each request."
#   remedy: "Name the end user in the request's context, beside the purpose."
deny contains {"rule": "R52", "code": "END_USER_MISSING", "fields": []} if {
	behind_bureau
	not named
}

# A foreign bureau asks for users of its own.
behind_bureau if input.border.intermediary

# What a foreign bureau stated is read under its agreement, by a user that it can be told.
behind_bureau if {
	some issuer in input.inbound.issuers
	issuer.kind == "BUREAU"
	issuer.id in in_force
}

named if {
	input.request.end_user_named
	input.request.purpose != ""
}

# METADATA
# title: Each answer restates what the agreement says of onward use
# custom:
#   rule: R46
#   code: ONWARD_USE
#   title_zh: 重申转供限制
#   clause: "Regulation on Credit Reporting art. 20: no use beyond the agreed one; the answer names the issuer and the clause that binds onward use."
#   remedy: "Nothing to do."
obligations contains "onward_use" if foreign

fired contains "R46" if foreign

fired contains "R52" if foreign
