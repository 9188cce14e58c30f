package xinguan.border_test

import data.xinguan.fixture_test as fixture

# R50 XB_FOREIGN_AUTHORITY
test_r50_xb_foreign_authority_fires if fixture.fires("XB_FOREIGN_AUTHORITY", fixture.partner, [["/border/is_judicial", true]])

test_r50_xb_foreign_authority_silent if fixture.silent("XB_FOREIGN_AUTHORITY", fixture.partner, [])

# R51 XB_RESTRICTED
test_r51_xb_restricted_fires if fixture.fires("XB_RESTRICTED", fixture.partner, [["/border/restricted", true]])

test_r51_xb_restricted_silent if fixture.silent("XB_RESTRICTED", fixture.partner, [])

# R52 XB_PURPOSE
test_r52_xb_purpose_fires if fixture.fires("XB_PURPOSE", fixture.partner, [["/request/purpose", "CREDIT_EVALUATION"]])

test_r52_xb_purpose_silent if fixture.silent("XB_PURPOSE", fixture.partner, [["/request/purpose", "SETTLEMENT_RISK"]])

test_r52_xb_purpose_fires_2 if fixture.fires("XB_PURPOSE", fixture.partner, [["/licence/agreement/not_after", fixture.now]])

test_r52_xb_purpose_silent_2 if fixture.silent("XB_PURPOSE", fixture.partner, [["/licence/agreement/not_after", fixture.now + 1]])

test_r52_xb_purpose_fires_3 if fixture.fires("XB_PURPOSE", fixture.partner, [["/licence/covers/purpose", false]])

test_r52_xb_purpose_silent_3 if fixture.silent("XB_PURPOSE", fixture.partner, [])

# R53 XB_IMPORTANT
test_r53_xb_important_fires if fixture.fires("XB_IMPORTANT", fixture.partner, [["/border/important_data", true]])

test_r53_xb_important_silent if fixture.silent("XB_IMPORTANT", fixture.partner, [["/border/important_data", true], ["/border/mechanisms/0/kind", "ASSESSMENT"]])

test_r53_xb_important_fires_2 if fixture.fires("XB_IMPORTANT", fixture.partner, [["/border/important_data", true], ["/border/mechanisms/0/kind", "ASSESSMENT"], ["/border/mechanisms/0/fields", ["uscc"]]])

test_r53_xb_important_silent_2 if fixture.silent("XB_IMPORTANT", fixture.partner, [["/border/important_data", true], ["/border/mechanisms/0/kind", "ASSESSMENT"], ["/border/mechanisms/0/fields", ["list_type", "uscc"]]])

# R53 XB_BULK
test_r53_xb_bulk_fires if fixture.fires("XB_BULK", fixture.partner, [["/request/subjects", 2]])

test_r53_xb_bulk_silent if fixture.silent("XB_BULK", fixture.partner, [["/request/subjects", 2], ["/switches/border_bulk", true]])

test_r53_xb_bulk_fires_2 if fixture.fires("XB_BULK", fixture.partner, [["/request/subjects", 0], ["/request/whole_product", true]])

test_r53_xb_bulk_silent_2 if fixture.silent("XB_BULK", fixture.partner, [["/request/subjects", 1]])

# R54 XB_NOT_WHITELISTED
test_r54_xb_not_whitelisted_fires if fixture.fires("XB_NOT_WHITELISTED", fixture.partner, [["/fields/-", {"class": "P0", "border": "A", "granted": true, "names": ["reason"]}]])

test_r54_xb_not_whitelisted_silent if fixture.silent("XB_NOT_WHITELISTED", fixture.partner, [["/fields/-", {"class": "P0", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["reason"]}]])

test_r54_xb_not_whitelisted_fires_2 if fixture.fires("XB_NOT_WHITELISTED", fixture.partner, [["/border/whitelist", null]])

test_r54_xb_not_whitelisted_silent_2 if fixture.silent("XB_NOT_WHITELISTED", fixture.partner, [])

test_r54_xb_not_whitelisted_fires_3 if fixture.fires("XB_NOT_WHITELISTED", fixture.partner, [["/border/whitelist/not_before", fixture.now + 1]])

test_r54_xb_not_whitelisted_silent_3 if fixture.silent("XB_NOT_WHITELISTED", fixture.partner, [["/border/whitelist/not_before", fixture.now]])

test_r54_xb_not_whitelisted_fires_4 if fixture.fires("XB_NOT_WHITELISTED", fixture.partner, [["/border/whitelist/withdrawn_at", fixture.now]])

test_r54_xb_not_whitelisted_silent_4 if fixture.silent("XB_NOT_WHITELISTED", fixture.partner, [["/border/whitelist/withdrawn_at", fixture.now + 1]])

# R54 XB_DEFAULT_DENY
test_r54_xb_default_deny_fires if fixture.fires("XB_DEFAULT_DENY", fixture.partner, [["/fields/-", {"class": "P0", "border": "D", "granted": true, "whitelisted": true, "minimal": true, "names": ["facts"]}]])

test_r54_xb_default_deny_silent if fixture.silent("XB_DEFAULT_DENY", fixture.partner, [["/fields/-", {"class": "P0", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["facts"]}]])

test_r54_xb_default_deny_fires_2 if fixture.fires("XB_DEFAULT_DENY", fixture.partner, [["/fields/-", {"class": "P0", "border": "T", "granted": true, "whitelisted": true, "minimal": true, "names": ["content"]}]])

test_r54_xb_default_deny_silent_2 if fixture.silent("XB_DEFAULT_DENY", fixture.partner, [["/fields/-", {"class": "P0", "border": "T", "granted": true, "whitelisted": true, "minimal": true, "transform": true, "names": ["content"]}]])

# R56 XB_NOT_AUTHORISED
test_r56_xb_not_authorised_fires if fixture.fires("XB_NOT_AUTHORISED", fixture.partner, [["/fields/-", {"class": "P1", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["score"]}], ["/product/form", "SCORE"]])

test_r56_xb_not_authorised_silent if fixture.silent("XB_NOT_AUTHORISED", fixture.partner, [["/fields/-", {"class": "P1", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["score"]}], ["/product/form", "SCORE"], ["/border/enterprise_authorised", true]])

test_r56_xb_not_authorised_fires_2 if fixture.fires("XB_NOT_AUTHORISED", fixture.partner, [["/fields/-", {"class": "P1", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["score"]}], ["/product/form", "SCORE"]])

test_r56_xb_not_authorised_silent_2 if fixture.silent("XB_NOT_AUTHORISED", fixture.partner, [["/fields/-", {"class": "P1", "border": "A", "granted": true, "whitelisted": true, "minimal": true, "names": ["score"]}], ["/product/form", "SCORE"], ["/consent", fixture.consent]])

# R58 XB_STATE_PI
test_r58_xb_state_pi_fires if fixture.fires("XB_STATE_PI", fixture.person_abroad, [["/border/exporter/is_state_organ", true]])

test_r58_xb_state_pi_silent if fixture.silent("XB_STATE_PI", fixture.person_abroad, [["/border/exporter/is_state_organ", true], ["/border/mechanisms/0/kind", "ASSESSMENT"]])

test_r58_xb_state_pi_fires_2 if fixture.fires("XB_STATE_PI", fixture.partner, [["/border/exporter/is_state_organ", true], ["/request/subject_kind", "NATURAL_PERSON"]])

test_r58_xb_state_pi_silent_2 if fixture.silent("XB_STATE_PI", fixture.partner, [["/border/exporter/is_state_organ", true]])

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

# R67 XB_WRONG_PATH
test_r67_xb_wrong_path_fires if fixture.fires("XB_WRONG_PATH", fixture.partner, [["/caller/role", "REGIONAL_PARTNER"]])

test_r67_xb_wrong_path_silent if fixture.silent("XB_WRONG_PATH", fixture.partner, [])

test_r67_xb_wrong_path_fires_2 if fixture.fires("XB_WRONG_PATH", fixture.partner, [["/border", null]])

test_r67_xb_wrong_path_silent_2 if fixture.silent("XB_WRONG_PATH", fixture.partner, [])

test_r67_xb_wrong_path_fires_3 if fixture.fires("XB_WRONG_PATH", fixture.agency, [["/request/destination", "HK"]])

test_r67_xb_wrong_path_silent_3 if fixture.silent("XB_WRONG_PATH", fixture.agency, [["/request/destination", "CN"]])

test_r67_xb_wrong_path_fires_4 if fixture.fires("XB_WRONG_PATH", fixture.agency, [["/caller/jurisdiction", "MO"]])

test_r67_xb_wrong_path_silent_4 if fixture.silent("XB_WRONG_PATH", fixture.agency, [["/caller/jurisdiction", "CN"]])

# R68 XB_WHITELIST_UNAPPROVED
test_r68_xb_whitelist_unapproved_fires if fixture.fires("XB_WHITELIST_UNAPPROVED", fixture.partner, [["/border/whitelist/approvals", {"SECURITY_ADMIN": 20}]])

test_r68_xb_whitelist_unapproved_silent if fixture.silent("XB_WHITELIST_UNAPPROVED", fixture.partner, [])

test_r68_xb_whitelist_unapproved_fires_2 if fixture.fires("XB_WHITELIST_UNAPPROVED", fixture.person_abroad, [["/border/whitelist/mechanism", "SCC-9"]])

test_r68_xb_whitelist_unapproved_silent_2 if fixture.silent("XB_WHITELIST_UNAPPROVED", fixture.person_abroad, [["/border/whitelist/mechanism", "SCC-1"]])

# R54: transformed fields
test_r54_default_transform_is_generalised if {
	band := [["/fields/-", {"class": "P0", "border": "T", "transform": true, "granted": true, "whitelisted": true, "names": ["capital"]}]]
	fixture.decided(fixture.partner, band).fields.capital == "generalise"
}

test_r54_transform_is_silent_inside if {
	band := [["/fields/-", {"class": "P0", "border": "T", "transform": true, "granted": true, "names": ["capital"]}]]
	fixture.decided(fixture.agency, band).fields.capital == "allow"
}

# R55: states of records
test_r55_only_shared_records_cross if {
	adverse := [["/product/adverse", true], ["/publicity/as_of", fixture.now]]
	fixture.condition("share_state", fixture.partner, adverse).value == ["ACTIVE", "DISPUTED"]
}

test_r55_silent_inside if {
	adverse := [["/product/adverse", true], ["/publicity/as_of", fixture.now]]
	not fixture.condition("share_state", fixture.agency, adverse)
}

# R57: organisations only
test_r57_organisations_cross_recorded if {
	answer := fixture.decided(fixture.partner, [])
	answer.allow
	"border_record" in answer.obligations
	not "count_export" in answer.obligations
	"R57" in answer.rules
}

test_r57_silent_for_persons if {
	not "R57" in fixture.decided(fixture.person_abroad, []).rules
}

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

test_r67_a_partner_abroad_without_border_facts if {
	home := [["/border", null], ["/caller/jurisdiction", "CN"], ["/request/destination", "CN"]]
	fixture.fires("XB_WRONG_PATH", fixture.partner, home)
}

# R66: five years
test_r66_old_personal_adverse_rows_stay if {
	adverse := [["/product/adverse", true], ["/publicity/as_of", fixture.now]]
	fixture.condition("determination_date", fixture.person_abroad, adverse).value == "2021-11-18"
}

test_r66_silent_for_organisations if {
	adverse := [["/product/adverse", true], ["/publicity/as_of", fixture.now]]
	not fixture.condition("determination_date", fixture.partner, adverse)
}
