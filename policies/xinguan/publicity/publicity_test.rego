package xinguan.publicity_test

import data.xinguan.fixture_test as fixture

# R13 PRODUCT_UNAVAILABLE
test_r13_product_unavailable_fires if fixture.fires("PRODUCT_UNAVAILABLE", fixture.agency, [["/publicity", {"as_of": fixture.now - 61, "limit_s": 60}]])

test_r13_product_unavailable_silent if fixture.silent("PRODUCT_UNAVAILABLE", fixture.agency, [["/publicity", {"as_of": fixture.now - 60, "limit_s": 60}]])

test_r13_product_unavailable_fires_2 if fixture.fires("PRODUCT_UNAVAILABLE", fixture.agency, [["/publicity", {"as_of": null, "limit_s": 60}]])

test_r13_product_unavailable_silent_2 if fixture.silent("PRODUCT_UNAVAILABLE", fixture.agency, [["/publicity", {"as_of": null, "limit_s": 0}]])

test_r13_product_unavailable_fires_3 if fixture.fires("PRODUCT_UNAVAILABLE", fixture.agency, [["/publicity", {"as_of": fixture.now + 1, "limit_s": 60}]])

test_r13_product_unavailable_silent_3 if fixture.silent("PRODUCT_UNAVAILABLE", fixture.agency, [["/publicity", {"as_of": fixture.now, "limit_s": 60}]])

test_r13_product_unavailable_fires_4 if fixture.fires("PRODUCT_UNAVAILABLE", fixture.agency, [["/product/adverse", true], ["/publicity", {"as_of": fixture.now - 601, "limit_s": 0}]])

test_r13_product_unavailable_silent_4 if fixture.silent("PRODUCT_UNAVAILABLE", fixture.agency, [["/product/adverse", true], ["/publicity", {"as_of": fixture.now - 600, "limit_s": 0}]])

# R15 PUBLIC_FIELDS_ONLY
test_r15_public_fields_only_fires if fixture.fires("PUBLIC_FIELDS_ONLY", fixture.agency, [["/request/purpose", "PUBLIC_QUERY"], ["/fields/-", {"class": "PI", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["phone"]}]])

test_r15_public_fields_only_silent if fixture.silent("PUBLIC_FIELDS_ONLY", fixture.agency, [["/request/purpose", "PUBLIC_QUERY"]])

# R10
test_r10_publicised_rows_only if {
	adverse := [["/product/adverse", true], ["/publicity/as_of", fixture.now]]
	predicate := fixture.condition("publicity_state", fixture.agency, adverse)
	predicate == {"field": "publicity_state", "op": "eq", "value": "PUBLIC"}
	"R10" in fixture.decided(fixture.agency, adverse).rules
}

test_r10_silent_for_harmless_products if {
	not fixture.condition("publicity_state", fixture.agency, [])
	not "R10" in fixture.decided(fixture.agency, []).rules
}

test_r10_silent_for_public_bodies if {
	adverse := [["/product/adverse", true], ["/publicity/as_of", fixture.now]]
	not fixture.condition("publicity_state", fixture.body, adverse)
}

# R14
test_r14_label_is_a_duty if {
	labelled := [["/product/columns/-", "dispute_flag"]]
	"label_dispute" in fixture.decided(fixture.agency, labelled).obligations
}

test_r14_silent_without_the_column if {
	not "label_dispute" in fixture.decided(fixture.agency, []).obligations
}

test_coverage_is_always_owed if {
	"coverage" in fixture.decided(fixture.agency, []).obligations
}
