# METADATA
# title: How long a decision holds
# description: >-
#   A decision may change only at a boundary: an instant at which one of the time-dependent
#   facts of the input turns. Between two neighbouring boundaries every comparison with `now` in
#   the other packages has the same outcome, so the decision is the same (a property test proves
#   it). Exclusive ends turn at the end itself, inclusive ends one second later. A fact that is
#   absent is null or undefined, and adds no boundary.
package xinguan.validity

import data.xinguan.publicity

# METADATA
# title: Start of the interval, inclusive
valid_from := max(array.concat([0], [at | some at in boundaries; at <= input.now]))

# METADATA
# title: End of the interval, exclusive
# description: >-
#   The end of the day in Asia/Shanghai is always given, so it is never missing. An input belongs
#   to its day (counters of the year, five years back): on another day it has no answer.
valid_until := min([at | some at in boundaries; at > input.now]) if {
	input.calendar.turns[1] <= input.now
	input.now < input.calendar.turns[2]
}

boundaries contains at if some at in input.calendar.turns

boundaries contains input.caller.certificate.not_before

boundaries contains input.caller.certificate.not_after + 1

boundaries contains input.licence.not_before

boundaries contains input.licence.not_after

boundaries contains input.licence.agreement.not_before

boundaries contains input.licence.agreement.not_after

boundaries contains input.consent.not_before

boundaries contains input.consent.not_after

boundaries contains input.consent.withdrawn_at

boundaries contains input.publicity.as_of

boundaries contains publicity.stale_from

boundaries contains input.border.impact_assessment_until

boundaries contains at if some at in input.border.turns

boundaries contains input.border.whitelist.not_before

boundaries contains input.border.whitelist.withdrawn_at

boundaries contains at if {
	some issuer in input.inbound.issuers
	some at in [
		issuer.not_before, issuer.withdrawn_at,
		issuer.agreement.not_before, issuer.agreement.not_after,
	]
	at != null
}

boundaries contains at if {
	some mechanism in input.border.mechanisms
	some at in [mechanism.not_before, mechanism.not_after]
}

boundaries contains at if {
	some document in [input.recognition.terms, input.recognition.mapping, input.recognition.table]
	some at in [document.not_before, document.withdrawn_at]
}

boundaries contains input.recognition.terms.not_after
