package xinguan.responsibility_test

import data.xinguan.fixture_test as fixture

# R80 NO_RESPONSIBILITY
test_r80_no_responsibility_fires if fixture.fires("NO_RESPONSIBILITY", fixture.agency, [["/responsibility/manager", null]])

test_r80_no_responsibility_silent if fixture.silent("NO_RESPONSIBILITY", fixture.agency, [])

test_r80_no_responsibility_fires_2 if fixture.fires("NO_RESPONSIBILITY", fixture.agency, [["/responsibility/transmitter", null]])

test_r80_no_responsibility_silent_2 if fixture.silent("NO_RESPONSIBILITY", fixture.agency, [])

test_r80_no_responsibility_fires_3 if fixture.fires("NO_RESPONSIBILITY", fixture.agency, [["/responsibility/user", null]])

test_r80_no_responsibility_silent_3 if fixture.silent("NO_RESPONSIBILITY", fixture.agency, [])

test_r80_no_responsibility_fires_4 if fixture.fires("NO_RESPONSIBILITY", fixture.agency, [["/responsibility/manager/uscc", ""]])

test_r80_no_responsibility_silent_4 if fixture.silent("NO_RESPONSIBILITY", fixture.agency, [["/responsibility/manager/uscc", "UNIT"]])

test_r80_no_responsibility_fires_5 if fixture.fires("NO_RESPONSIBILITY", fixture.agency, [["/responsibility/user/signer", ""]])

test_r80_no_responsibility_silent_5 if fixture.silent("NO_RESPONSIBILITY", fixture.agency, [["/responsibility/user/signer", "k1"]])

test_r80_no_responsibility_fires_6 if fixture.fires("NO_RESPONSIBILITY", fixture.agency, [["/responsibility/user/timed", false]])

test_r80_no_responsibility_silent_6 if fixture.silent("NO_RESPONSIBILITY", fixture.agency, [["/responsibility/user/timed", true]])

# R82 LOG_FIELDS_MISSING
test_r82_log_fields_missing_fires if fixture.fires("LOG_FIELDS_MISSING", fixture.agency, [["/request/operator_named", false]])

test_r82_log_fields_missing_silent if fixture.silent("LOG_FIELDS_MISSING", fixture.agency, [])

test_r82_log_fields_missing_fires_2 if fixture.fires("LOG_FIELDS_MISSING", fixture.agency, [["/request/purpose", ""]])

test_r82_log_fields_missing_silent_2 if fixture.silent("LOG_FIELDS_MISSING", fixture.agency, [["/request/purpose", "CREDIT_REPORT"]])

# R86 NO_BUSINESS_ROLE
test_r86_no_business_role_fires if fixture.fires("NO_BUSINESS_ROLE", fixture.agency, [["/caller/role", "AUDITOR"]])

test_r86_no_business_role_silent if fixture.silent("NO_BUSINESS_ROLE", fixture.agency, [["/caller/role", "OPERATOR"]])

# R87 EMERGENCY_STOP
test_r87_emergency_stop_fires if fixture.fires("EMERGENCY_STOP", fixture.agency, [["/stop_orders", [{"scope": "all", "index": 50}]]])

test_r87_emergency_stop_silent if fixture.silent("EMERGENCY_STOP", fixture.agency, [])
