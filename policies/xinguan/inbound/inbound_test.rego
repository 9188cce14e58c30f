package xinguan.inbound_test

import data.xinguan.fixture_test as fixture

issuer := {
	"id": "https://bureau.example.sg", "kind": "BUREAU", "jurisdiction": "SG",
	"not_before": fixture.start, "withdrawn_at": null,
	"agreement": {"id": "MR-1", "not_before": fixture.start, "not_after": fixture.end},
	"onward_use": "NO_ONWARD_USE", "index": 50,
}

partner_issuer := object.union(issuer, {"id": "https://partner.example.my", "kind": "PARTNER"})

# A bank that reads what a foreign bureau stated, with everything in order.
reading := json.patch(fixture.bank, [
	{"op": "add", "path": "/inbound", "value": {"issuers": [issuer]}},
	{"op": "add", "path": "/request/end_user_named", "value": true},
])

unnamed := json.patch(reading, [{"op": "remove", "path": "/request/end_user_named"}])

bureau_abroad := json.patch(fixture.partner, [{"op": "add", "path": "/border/intermediary", "value": true}])

# R32 FOREIGN_READER
test_r32_foreign_reader_fires if fixture.fires("FOREIGN_READER", reading, [["/caller/role", "PLATFORM_ENTERPRISE"]])

test_r32_foreign_reader_silent if fixture.silent("FOREIGN_READER", reading, [])

test_r32_foreign_reader_fires_2 if fixture.fires("FOREIGN_READER", reading, [["/caller/role", "CROSS_BORDER_PARTNER"], ["/caller/jurisdiction", "SG"]])

test_r32_foreign_reader_silent_2 if fixture.silent("FOREIGN_READER", reading, [["/caller/role", "AGENCY"]])

test_r32_foreign_reader_fires_3 if fixture.fires("FOREIGN_READER", reading, [["/request/destination", "SG"]])

test_r32_foreign_reader_silent_3 if fixture.silent("FOREIGN_READER", fixture.agency, [["/caller/role", "PLATFORM_ENTERPRISE"]])

# R52 NO_FOREIGN_ISSUER
test_r52_no_foreign_issuer_fires if fixture.fires("NO_FOREIGN_ISSUER", reading, [["/inbound/issuers", []]])

test_r52_no_foreign_issuer_silent if fixture.silent("NO_FOREIGN_ISSUER", reading, [])

test_r52_no_foreign_issuer_fires_2 if fixture.fires("NO_FOREIGN_ISSUER", reading, [["/inbound/issuers/0/withdrawn_at", fixture.now]])

test_r52_no_foreign_issuer_silent_2 if fixture.silent("NO_FOREIGN_ISSUER", reading, [["/inbound/issuers/0/withdrawn_at", fixture.now + 1]])

test_r52_no_foreign_issuer_fires_3 if fixture.fires("NO_FOREIGN_ISSUER", reading, [["/inbound/issuers/0/agreement/not_after", fixture.now]])

test_r52_no_foreign_issuer_silent_3 if fixture.silent("NO_FOREIGN_ISSUER", reading, [["/inbound/issuers/0/agreement/not_after", fixture.now + 1]])

test_r52_no_foreign_issuer_fires_4 if fixture.fires("NO_FOREIGN_ISSUER", reading, [["/inbound/issuers/0/not_before", fixture.now + 1]])

test_r52_no_foreign_issuer_fires_5 if fixture.fires("NO_FOREIGN_ISSUER", reading, [["/inbound/issuers/0/agreement/not_before", fixture.now + 1]])

test_r52_no_foreign_issuer_fires_6 if fixture.fires("NO_FOREIGN_ISSUER", reading, [["/inbound/issuers/0/onward_use", ""]])

# R52 FOREIGN_ISSUER
test_r52_foreign_issuer_names_those_in_force if {
	two := [["/inbound/issuers", [issuer, object.union(partner_issuer, {"withdrawn_at": fixture.now})]]]
	fixture.condition("issuer", reading, two).value == ["https://bureau.example.sg"]
}

test_r52_foreign_issuer_names_every_one_in_force if {
	two := [["/inbound/issuers", [partner_issuer, issuer]]]
	fixture.condition("issuer", reading, two).value == ["https://bureau.example.sg", "https://partner.example.my"]
}

test_r52_foreign_issuer_silent_for_other_products if not fixture.condition("issuer", fixture.bank, [])

# R52 END_USER_MISSING
test_r52_end_user_missing_fires if fixture.fires("END_USER_MISSING", unnamed, [])

test_r52_end_user_missing_silent if fixture.silent("END_USER_MISSING", reading, [])

test_r52_end_user_missing_fires_2 if fixture.fires("END_USER_MISSING", bureau_abroad, [])

test_r52_end_user_missing_silent_2 if {
	named := json.patch(bureau_abroad, [{"op": "add", "path": "/request/end_user_named", "value": true}])
	fixture.silent("END_USER_MISSING", named, [])
}

test_r52_end_user_missing_silent_3 if fixture.silent("END_USER_MISSING", fixture.partner, [])

test_r52_end_user_missing_silent_4 if fixture.silent("END_USER_MISSING", unnamed, [["/inbound/issuers", [partner_issuer]]])

test_r52_end_user_missing_silent_5 if {
	gone := object.union(issuer, {"withdrawn_at": fixture.now})
	fixture.silent("END_USER_MISSING", unnamed, [["/inbound/issuers", [gone, partner_issuer]]])
}

# R46 ONWARD_USE
test_r46_onward_use_is_restated if {
	answer := fixture.decided(reading, [])
	answer.allow
	"onward_use" in answer.obligations
	"R46" in answer.rules
}

test_r46_onward_use_silent if not "onward_use" in fixture.decided(fixture.bank, []).obligations
