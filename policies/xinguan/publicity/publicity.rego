# METADATA
# title: Consistency with publicity
# description: What leaves is what the public sees, for as long as it sees it (R10 to R15).
package xinguan.publicity

import data.law
import data.xinguan.callers

# METADATA
# title: Adverse records leave for third parties only while they are publicised
# custom:
#   rule: R10
#   code: NOT_PUBLICISED
#   title_zh: 失信记录仅在公示期间提供
#   clause: "Measure 19: what is used equals what is publicised, for the same term."
#   remedy: "Nothing to do: records that are not publicised are not provided."
predicates contains {"field": "publicity_state", "op": "eq", "value": "PUBLIC"} if publicised_only

publicised_only if {
	input.product.adverse
	not callers.duty
	"publicity_state" in input.product.columns
}

fired contains "R10" if publicised_only

# METADATA
# title: The reconciliation feed of an adverse product is too old
# custom:
#   rule: R13
#   code: PRODUCT_UNAVAILABLE
#   title_zh: 对账超时，失信类产品暂停
#   clause: "Measures 18, 19: the publicity and repair feed is too old, so products of adverse data are suspended, never emptied."
#   remedy: "Try again later; the product returns by itself when reconciliation with Credit China does."
deny contains {"rule": "R13", "code": "PRODUCT_UNAVAILABLE", "fields": []} if {
	feed_limit > 0
	not feed_fresh
}

feed_fresh if {
	input.publicity.as_of <= input.now
	input.now < stale_from
	input.publicity.as_of != null
}

# METADATA
# title: First instant at which the feed is too old
stale_from := (input.publicity.as_of + feed_limit) + 1 if {
	feed_limit > 0
	input.publicity.as_of != null
}

default feed_limit := 0

feed_limit := input.publicity.limit_s if {
	input.publicity.limit_s > 0
} else := law.numbers.adverse_feed_age if {
	input.product.adverse
}

# METADATA
# title: A disputed record leaves only with its label
# custom:
#   rule: R14
#   code: LABEL_DISPUTE
#   title_zh: 异议记录须带标注
#   clause: "Regulation on Credit Reporting art. 25: disputed information is labelled."
#   remedy: "Keep the dispute label with the record."
obligations contains "label_dispute" if "dispute_flag" in input.product.columns

fired contains "R14" if "dispute_flag" in input.product.columns

# METADATA
# title: Every answer says what it covers
# custom:
#   rule: GATE
#   code: COVERAGE
#   title_zh: 答复附覆盖说明
#   clause: "Measure 15: quality of collection; an answer says what it covers."
#   remedy: "Nothing to do."
obligations contains "coverage"

# METADATA
# title: The free public query shows publicised fields only
# custom:
#   rule: R15
#   code: PUBLIC_FIELDS_ONLY
#   title_zh: 公益性查询仅限公示字段
#   clause: "Measure 18: the free public query shows publicised information only."
#   remedy: "Leave out fields that are not publicised, or ask under a licence."
drop contains {"rule": "R15", "code": "PUBLIC_FIELDS_ONLY", "group": i} if {
	law.purposes.public_query[input.request.purpose]
	some i, group in input.fields
	group.class != "P0"
}
