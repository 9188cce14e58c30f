package xinguan.border_test

import data.xinguan.fixture_test as fixture

# R58 XB_STATE_PI
test_r58_xb_state_pi_fires if fixture.fires("XB_STATE_PI", fixture.person_abroad, [["/border/exporter/is_state_organ", true]])

test_r58_xb_state_pi_silent if fixture.silent("XB_STATE_PI", fixture.person_abroad, [["/border/exporter/is_state_organ", true], ["/border/mechanisms/0/kind", "ASSESSMENT"]])

test_r58_xb_state_pi_fires_2 if fixture.fires("XB_STATE_PI", fixture.partner, [["/border/exporter/is_state_organ", true], ["/request/subject_kind", "NATURAL_PERSON"]])

test_r58_xb_state_pi_silent_2 if fixture.silent("XB_STATE_PI", fixture.partner, [["/border/exporter/is_state_organ", true]])

# R58 XB_EXPORTER
test_r58_xb_exporter_fires if fixture.fires("XB_EXPORTER", fixture.person_abroad, [["/border/exporter/named", false]])

test_r58_xb_exporter_silent if fixture.silent("XB_EXPORTER", fixture.person_abroad, [])

test_r58_xb_exporter_fires_2 if fixture.fires("XB_EXPORTER", fixture.person_abroad, [["/border/exporter/stated", false]])

test_r58_xb_exporter_fires_3 if fixture.fires("XB_EXPORTER", fixture.person_abroad, [["/border/exporter/role", "OPERATOR"]])

test_r58_xb_exporter_fires_4 if fixture.fires("XB_EXPORTER", fixture.person_abroad, [["/border/exporter/licences", ["ENTERPRISE_CREDIT_FILING"]]])

test_r58_xb_exporter_fires_5 if fixture.fires("XB_EXPORTER", fixture.ordinary_abroad, [["/border/exporter/licences", []]])

test_r58_xb_exporter_silent_2 if fixture.silent("XB_EXPORTER", fixture.ordinary_abroad, [["/border/exporter/licences", ["ENTERPRISE_CREDIT_FILING"]]])

test_r58_xb_exporter_silent_3 if fixture.silent("XB_EXPORTER", fixture.partner, [["/border/exporter/named", false]])

# R59 XB_CIIO
test_r59_xb_ciio_fires if fixture.fires("XB_CIIO", fixture.person_abroad, [["/border/exporter/is_ciio", true]])

test_r59_xb_ciio_silent if fixture.silent("XB_CIIO", fixture.person_abroad, [["/border/exporter/is_ciio", true], ["/border/mechanisms/0/kind", "ASSESSMENT"]])

# R60 XB_CONSENT
test_r60_xb_consent_fires if fixture.fires("XB_CONSENT", fixture.person_abroad, [["/consent", null]])

test_r60_xb_consent_silent if fixture.silent("XB_CONSENT", fixture.person_abroad, [])

test_r60_xb_consent_fires_2 if fixture.fires("XB_CONSENT", fixture.person_abroad, [["/consent/mode", "GENERAL"]])

test_r60_xb_consent_silent_2 if fixture.silent("XB_CONSENT", fixture.person_abroad, [["/consent/mode", "SEPARATE"]])

test_r60_xb_consent_fires_3 if fixture.fires("XB_CONSENT", fixture.person_abroad, [["/consent/cross_border", false]])

test_r60_xb_consent_silent_3 if fixture.silent("XB_CONSENT", fixture.person_abroad, [["/consent/cross_border", true]])

test_r60_xb_consent_fires_4 if fixture.fires("XB_CONSENT", fixture.person_abroad, [["/consent/names_exporter", false]])

# R61 XB_PIPIA
test_r61_xb_pipia_fires if fixture.fires("XB_PIPIA", fixture.person_abroad, [["/border/impact_assessment_until", null]])

test_r61_xb_pipia_silent if fixture.silent("XB_PIPIA", fixture.person_abroad, [])

test_r61_xb_pipia_fires_2 if fixture.fires("XB_PIPIA", fixture.person_abroad, [["/border/impact_assessment_until", fixture.now]])

test_r61_xb_pipia_silent_2 if fixture.silent("XB_PIPIA", fixture.person_abroad, [["/border/impact_assessment_until", fixture.now + 1]])

# R62 XB_MECHANISM
test_r62_xb_mechanism_fires if fixture.fires("XB_MECHANISM", fixture.person_abroad, [["/border/mechanisms", []]])

test_r62_xb_mechanism_silent if fixture.silent("XB_MECHANISM", fixture.person_abroad, [["/border/mechanisms", []], ["/border/exempt_basis", "ART5_CONTRACT"]])

test_r62_xb_mechanism_fires_2 if fixture.fires("XB_MECHANISM", fixture.person_abroad, [["/border/mechanisms", []], ["/border/exempt_basis", "ART6"]])

test_r62_xb_mechanism_silent_2 if fixture.silent("XB_MECHANISM", fixture.person_abroad, [["/border/mechanisms", []], ["/switches/art6_exempt", true]])

# R64 XB_MECHANISM
test_r64_xb_mechanism_fires if fixture.fires("XB_MECHANISM", fixture.ordinary_abroad, [["/border/exporter/persons", 100000], ["/border/exporter/sensitive_persons", 0], ["/border/mechanisms", []]])

test_r64_xb_mechanism_silent if fixture.silent("XB_MECHANISM", fixture.ordinary_abroad, [["/border/exporter/persons", 99999], ["/border/exporter/sensitive_persons", 0], ["/border/mechanisms", []]])

test_r64_xb_mechanism_fires_2 if fixture.fires("XB_MECHANISM", fixture.ordinary_abroad, [["/border/exporter/persons", 1000000], ["/border/exporter/sensitive_persons", 0]])

test_r64_xb_mechanism_silent_2 if fixture.silent("XB_MECHANISM", fixture.ordinary_abroad, [["/border/exporter/persons", 999999], ["/border/exporter/sensitive_persons", 0]])

test_r64_xb_mechanism_fires_3 if fixture.fires("XB_MECHANISM", fixture.ordinary_abroad, [["/border/exporter/persons", 1000000], ["/border/exporter/sensitive_persons", 0]])

test_r64_xb_mechanism_silent_3 if fixture.silent("XB_MECHANISM", fixture.ordinary_abroad, [["/border/exporter/persons", 1000000], ["/border/exporter/sensitive_persons", 0], ["/border/mechanisms/0/kind", "ASSESSMENT"], ["/border/mechanisms/0/id", "SCC-1"]])

test_r64_xb_mechanism_fires_4 if fixture.fires("XB_MECHANISM", fixture.ordinary_abroad, [["/border/exporter/persons", 0], ["/border/exporter/sensitive_persons", 1], ["/border/mechanisms", []]])

test_r64_xb_mechanism_silent_4 if fixture.silent("XB_MECHANISM", fixture.ordinary_abroad, [["/border/exporter/persons", 50000], ["/border/exporter/sensitive_persons", 0], ["/border/mechanisms", []]])

test_r64_xb_mechanism_fires_5 if fixture.fires("XB_MECHANISM", fixture.person_abroad, [["/border/exporter/persons", 0], ["/border/exporter/sensitive_persons", 10000]])

test_r64_xb_mechanism_silent_5 if fixture.silent("XB_MECHANISM", fixture.person_abroad, [["/border/exporter/persons", 0], ["/border/exporter/sensitive_persons", 9999]])

test_r64_xb_mechanism_fires_6 if fixture.fires("XB_MECHANISM", fixture.person_abroad, [["/border/exporter/persons", 0], ["/border/exporter/sensitive_persons", 10000]])

test_r64_xb_mechanism_silent_6 if fixture.silent("XB_MECHANISM", fixture.person_abroad, [["/border/exporter/persons", 0], ["/border/exporter/sensitive_persons", 10000], ["/border/mechanisms/0/kind", "ASSESSMENT"], ["/border/mechanisms/0/id", "SCC-1"]])

# R63 XB_MECHANISM
test_r63_xb_mechanism_fires if fixture.fires("XB_MECHANISM", fixture.person_abroad, [["/border/exporter/persons", 0], ["/border/exporter/sensitive_persons", 0], ["/border/mechanisms", []]])

test_r63_xb_mechanism_silent if fixture.silent("XB_MECHANISM", fixture.person_abroad, [["/border/exporter/persons", 0], ["/border/exporter/sensitive_persons", 0]])

# R65 XB_MECHANISM
test_r65_xb_mechanism_fires if fixture.fires("XB_MECHANISM", fixture.person_abroad, [["/border/exporter/persons", 0], ["/border/exporter/sensitive_persons", 1], ["/border/mechanisms/0/not_after", fixture.now]])

test_r65_xb_mechanism_silent if fixture.silent("XB_MECHANISM", fixture.person_abroad, [["/border/exporter/persons", 0], ["/border/exporter/sensitive_persons", 1], ["/border/mechanisms/0/not_after", fixture.now + 1]])

test_r65_xb_mechanism_fires_2 if fixture.fires("XB_MECHANISM", fixture.person_abroad, [["/border/exporter/persons", 0], ["/border/exporter/sensitive_persons", 1], ["/border/mechanisms/0/not_before", fixture.now + 1]])

test_r65_xb_mechanism_silent_2 if fixture.silent("XB_MECHANISM", fixture.person_abroad, [["/border/exporter/persons", 0], ["/border/exporter/sensitive_persons", 1], ["/border/mechanisms/0/not_before", fixture.now]])

test_r65_xb_mechanism_fires_3 if fixture.fires("XB_MECHANISM", fixture.person_abroad, [["/border/exporter/persons", 0], ["/border/exporter/sensitive_persons", 1], ["/border/mechanisms/0/names_recipient", false]])

test_r65_xb_mechanism_silent_3 if fixture.silent("XB_MECHANISM", fixture.person_abroad, [["/border/exporter/persons", 0], ["/border/exporter/sensitive_persons", 1], ["/border/mechanisms/0/names_recipient", true]])

test_r65_xb_mechanism_fires_4 if fixture.fires("XB_MECHANISM", fixture.person_abroad, [["/border/exporter/persons", 0], ["/border/exporter/sensitive_persons", 1], ["/border/mechanisms/0/covers_purpose", false]])

test_r65_xb_mechanism_silent_4 if fixture.silent("XB_MECHANISM", fixture.person_abroad, [["/border/exporter/persons", 0], ["/border/exporter/sensitive_persons", 1], ["/border/mechanisms/0/covers_purpose", true]])

test_r65_xb_mechanism_fires_5 if fixture.fires("XB_MECHANISM", fixture.person_abroad, [["/border/exporter/persons", 0], ["/border/exporter/sensitive_persons", 1], ["/border/mechanisms/0/fields", ["uscc"]]])

test_r65_xb_mechanism_silent_5 if fixture.silent("XB_MECHANISM", fixture.person_abroad, [["/border/exporter/persons", 0], ["/border/exporter/sensitive_persons", 1], ["/border/mechanisms/0/fields", ["list_type", "uscc"]]])

test_r65_xb_mechanism_fires_6 if fixture.fires("XB_MECHANISM", fixture.person_abroad, [["/border/exporter/persons", 0], ["/border/exporter/sensitive_persons", 6], ["/border/mechanisms/0/scale_cap", 5]])

test_r65_xb_mechanism_silent_6 if fixture.silent("XB_MECHANISM", fixture.person_abroad, [["/border/exporter/persons", 0], ["/border/exporter/sensitive_persons", 6], ["/border/mechanisms/0/scale_cap", 6]])

# R62, R63: counting
test_r63_persons_are_counted if {
	answer := fixture.decided(fixture.person_abroad, [])
	answer.allow
	"count_export" in answer.obligations
	"R63" in answer.rules
}

test_r62_exempt_persons_are_not_counted if {
	answer := fixture.decided(fixture.person_abroad, [["/border/exempt_basis", "ART4"]])
	answer.allow
	not "count_export" in answer.obligations
	"R62" in answer.rules
}

test_r62_silent_without_a_basis if {
	not "R62" in fixture.decided(fixture.person_abroad, []).rules
}

test_r63_sensitive_fields_of_a_company_count if {
	token := [["/fields/-", {"class": "SPI", "border": "A", "granted": true, "whitelisted": true, "names": ["owner"]}], ["/consent", fixture.consent]]
	fixture.decided(fixture.partner, token).allow
	fixture.fires("XB_MECHANISM", fixture.partner, array.concat(token, [["/border/mechanisms", []]]))
}

test_r63_lost_sensitive_fields_do_not_count if {
	token := [["/fields/-", {"class": "SPI", "border": "D", "granted": true, "whitelisted": true, "names": ["owner"]}], ["/border/mechanisms", []]]
	fixture.silent("XB_MECHANISM", fixture.partner, token)
}

test_r63_persons_count_as_sensitive if {
	duties := fixture.decided(fixture.person_abroad, []).obligations
	"count_sensitive" in duties
	not "count_ordinary" in duties
}

test_r63_ordinary_information_of_a_company_counts_as_ordinary if {
	duties := fixture.decided(fixture.ordinary_abroad, []).obligations
	"count_ordinary" in duties
	not "count_sensitive" in duties
}

test_r63_both_kinds_count_in_both if {
	both := [["/fields/-", {"class": "SPI", "border": "A", "granted": true, "whitelisted": true, "names": ["list_type"]}]]
	duties := fixture.decided(fixture.ordinary_abroad, both).obligations
	{"count_export", "count_ordinary", "count_sensitive"} - {duty | some duty in duties} == set()
}

test_r62_exempt_persons_count_in_neither if {
	duties := fixture.decided(fixture.person_abroad, [["/border/exempt_basis", "ART4"]]).obligations
	{"count_export", "count_ordinary", "count_sensitive"} & {duty | some duty in duties} == set()
}
