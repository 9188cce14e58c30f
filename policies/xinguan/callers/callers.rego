# METADATA
# title: Callers and licences
# description: Who may ask at all, and for what (R30 to R34, and the gateway's own checks).
package xinguan.callers

import data.law

# METADATA
# title: A caller acting in its own public duty
duty if law.lists.duty_roles[input.caller.role]

# METADATA
# title: The caller's party is not active
# custom:
#   rule: GATE
#   code: PARTY_SUSPENDED
#   title_zh: 机构不在有效状态
#   clause: "Measures 50, 34: the party is suspended or removed."
#   remedy: "Ask the competent department to resume; you may object."
deny contains {"rule": "GATE", "code": "PARTY_SUSPENDED", "fields": []} if input.caller.status != "ACTIVE"

# METADATA
# title: The certificate was revoked
# custom:
#   rule: GATE
#   code: CERTIFICATE_REVOKED
#   title_zh: 证书已吊销
#   clause: "Measure 23: responsibility along the whole chain. The certificate was revoked."
#   remedy: "Register a new certificate."
deny contains {"rule": "GATE", "code": "CERTIFICATE_REVOKED", "fields": []} if {
	input.caller.certificate.status != "ACTIVE"
}

# METADATA
# title: The certificate is not valid now
# custom:
#   rule: GATE
#   code: CERTIFICATE_EXPIRED
#   title_zh: 证书不在有效期内
#   clause: "Measure 23: responsibility along the whole chain. The certificate is not valid now."
#   remedy: "Replace the certificate."
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
#   title_zh: 无有效许可、备案或协议
#   clause: "Regulation on Credit Reporting arts 7, 10; measures 50, 21: a credit service needs a licence, a filing or an operation agreement that is in force."
#   remedy: "Have the competent department issue, renew or resume the licence document, then call again."
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
#   title_zh: 个人信息须有个人征信许可
#   clause: "Regulation on Credit Reporting art. 7: personal credit business needs a licence of the PBOC; individual businesses and farmers count as persons."
#   remedy: "Use a personal credit licence, or ask for fields of enterprises only."
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
#   title_zh: 超出授权范围
#   clause: "Measure 21: no use without or beyond authorisation; NDRC data rule 27 of 2025: only inside the authorised scope."
#   remedy: "Ask within the product, fields, purpose, scenario, destination, kinds of subject and term granted, or have the agreement changed."
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
#   title_zh: 超出授权范围
#   clause: "Measure 21: no use without or beyond authorisation; NDRC data rule 27 of 2025: only inside the authorised scope."
#   remedy: "Ask within the product, fields, purpose, scenario, destination, kinds of subject and term granted, or have the agreement changed."
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
#   title_zh: 公共管理机构专用目的
#   clause: "Measures 5, 25, 27: this purpose belongs to public bodies only."
#   remedy: "Let the public body ask under its duty, or use a purpose of your own licence."
deny contains {"rule": "R32", "code": "PUBLIC_PURPOSE", "fields": []} if {
	law.purposes.public_only[input.request.purpose]
	not duty
}

# METADATA
# title: The data product is not registered
# custom:
#   rule: R33
#   code: UNREGISTERED_PRODUCT
#   title_zh: 数据产品未登记
#   clause: "Hainan registration measure 692 of 2025: every data product and service is registered."
#   remedy: "The operator registers the product and puts the registration code into its contract."
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
#   title_zh: 原始未公示公共数据不出域
#   clause: "Measure 21: raw public data not lawfully published must not enter the market directly."
#   remedy: "Use a product form (verification, score, report, index, service), or ask for publicised fields only."
drop contains {"rule": "R34", "code": "RAW_EGRESS", "group": i} if {
	law.lists.raw_forms[input.product.form]
	not duty
	some i, group in input.fields
	group.class == "P1"
}

# METADATA
# title: A department's data is operated without that department's consent
# custom:
#   rule: R38
#   code: NO_PROVIDER_CONSENT
#   title_zh: 部门共享数据用于运营须经提供部门同意
#   clause: "NDRC data rule 27 of 2025: data that another department shares is operated only with that department's consent."
#   remedy: "Obtain the providing department's consent and have the authority name it in the grant."
deny contains {"rule": "R38", "code": "NO_PROVIDER_CONSENT", "fields": []} if {
	input.licence.kind == "OPERATION_AGREEMENT"
	input.product.domain == "PUBLIC"
	input.licence.covers.product
	not input.licence.provider_consented
}

# METADATA
# title: No field is asked for
# custom:
#   rule: GATE
#   code: BAD_REQUEST
#   title_zh: 未请求任何字段
#   clause: "The request is incomplete or contradicts itself."
#   remedy: "Correct it by the contract's comments."
deny contains {"rule": "GATE", "code": "BAD_REQUEST", "fields": []} if count(input.fields) == 0

# METADATA
# title: The product holds no such kind of subject
# custom:
#   rule: GATE
#   code: SUBJECT_KIND_MISMATCH
#   title_zh: 产品不含该类主体
#   clause: "The product holds no such kind of subject."
#   remedy: "Check the kind of subject."
deny contains {"rule": "GATE", "code": "SUBJECT_KIND_MISMATCH", "fields": []} if {
	not input.request.subject_kind in input.product.subject_kinds
}

# METADATA
# title: The portfolio is smaller than the grant's minimum
# description: Only subjects that have something to show are counted; others hide nobody.
# custom:
#   rule: GATE
#   code: PORTFOLIO_TOO_SMALL
#   title_zh: 批量小于许可下限
#   clause: "The portfolio is below the grant's minimum, against re-identification."
#   remedy: "Ask for a larger portfolio."
deny contains {"rule": "GATE", "code": "PORTFOLIO_TOO_SMALL", "fields": []} if {
	input.licence.minimum_subjects > 1
	not large_enough
}

# METADATA
# title: At least the minimum of subjects has something to show, or the whole product is asked for
# scope: document
large_enough if input.request.known_subjects >= input.licence.minimum_subjects

large_enough if input.request.whole_product

# METADATA
# title: The answer would tell fewer subjects apart than the grant's minimum
# description: Pseudonyms stay the same, so portfolios that differ by a few single these out.
# custom:
#   rule: GATE
#   code: PORTFOLIO_OVERLAP
#   title_zh: 批量与既往批量之差小于许可下限
#   clause: "Beside what you were answered before, this answer would single out fewer subjects than the grant's minimum, against re-identification."
#   remedy: "Ask for the same portfolio as before, or add and leave out at least the minimum at once."
deny contains {"rule": "GATE", "code": "PORTFOLIO_OVERLAP", "fields": []} if {
	input.licence.minimum_subjects > 1
	input.licence.pseudonymous
	large_enough
	not apart
}

# METADATA
# title: Whoever can be told apart stands with at least the minimum of others
apart if input.request.smallest_group >= input.licence.minimum_subjects
