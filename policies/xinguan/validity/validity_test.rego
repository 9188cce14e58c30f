package xinguan.validity_test

import data.xinguan.fixture_test as fixture

test_the_interval_ends_at_the_next_boundary if {
	answer := fixture.decided(fixture.agency, [])
	answer.valid_from == fixture.start
	answer.valid_until == fixture.end
}

test_an_inclusive_end_turns_one_second_later if {
	ends := [["/caller/certificate/not_after", fixture.now]]
	fixture.decided(fixture.agency, ends).valid_until == fixture.now + 1
}

test_a_feed_turns_when_it_is_older_than_its_limit if {
	feed := [["/publicity", {"as_of": fixture.now, "limit_s": 60}]]
	fixture.decided(fixture.agency, feed).valid_until == fixture.now + 61
}

test_the_day_ends_even_without_documents if {
	bare := [["/licence", null], ["/caller/certificate/not_after", fixture.now + 99999]]
	fixture.decided(fixture.agency, bare).valid_until == fixture.now + 5000
}

test_a_denial_carries_its_interval_too if {
	answer := fixture.decided(fixture.agency, [["/licence/not_before", fixture.now + 7]])
	not answer.allow
	answer.valid_until == fixture.now + 7
}

test_absent_facts_add_no_boundary if {
	bare := [["/responsibility/user", null], ["/border", null], ["/consent", null]]
	fixture.decided(fixture.agency, bare).valid_from == fixture.start
}

test_an_input_has_an_answer_on_its_day_only if {
	fixture.decided(fixture.agency, [["/now", fixture.now + 4999]])
	not fixture.decided(fixture.agency, [["/now", fixture.now + 5000]])
	fixture.decided(fixture.agency, [["/now", fixture.now - 5000]])
	not fixture.decided(fixture.agency, [["/now", fixture.now - 5001]])
}
