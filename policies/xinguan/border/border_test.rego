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
	fixture.named(fixture.partner, band).capital == "generalise"
}

test_r54_transform_is_silent_inside if {
	band := [["/fields/-", {"class": "P0", "border": "T", "transform": true, "granted": true, "names": ["capital"]}]]
	fixture.named(fixture.agency, band).capital == "allow"
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

# R68 XB_WHITELIST_MECHANISM
test_r68_xb_whitelist_mechanism_fires if fixture.fires("XB_WHITELIST_MECHANISM", fixture.partner, [["/border/mechanisms", []]])

test_r68_xb_whitelist_mechanism_silent if fixture.silent("XB_WHITELIST_MECHANISM", fixture.partner, [])

test_r68_xb_whitelist_mechanism_fires_2 if fixture.fires("XB_WHITELIST_MECHANISM", fixture.partner, [["/border/whitelist/within_scope", false]])

test_r68_xb_whitelist_mechanism_silent_2 if fixture.silent("XB_WHITELIST_MECHANISM", fixture.partner, [["/border/mechanisms", []], ["/border/whitelist/mechanism", ""]])

test_r68_xb_whitelist_mechanism_fires_3 if fixture.fires("XB_WHITELIST_MECHANISM", fixture.partner, [["/border/mechanisms/0/not_after", fixture.now]])

test_r68_xb_whitelist_mechanism_silent_3 if fixture.silent("XB_WHITELIST_MECHANISM", fixture.partner, [["/border/mechanisms/0/not_after", fixture.now + 1]])
