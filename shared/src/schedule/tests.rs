use jiff::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;

/// What robfig/cron v3.0.1 itself answered: schedule, time, next time; or schedule, `refused`.
const ROBFIG: &str = include_str!("robfig.tsv");

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[track_caller]
fn check_refused(text: &str, error: &str) {
    assert_eq!(text.parse::<Schedule>().unwrap_err().to_string(), error, "{text:?}");
}

/// Schedules that robfig/cron reads and drover refuses: too often.
fn is_refused_on_purpose(text: &str) -> bool {
    text == "@every -5m"
}

#[test]
fn every_answer_is_that_of_robfig_cron() {
    let mut answers = 0;
    for line in ROBFIG.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let schedule = columns[0].parse::<Schedule>();
        if columns[1] == "refused" || is_refused_on_purpose(columns[0]) {
            assert!(schedule.is_err(), "{line}");
            continue;
        }
        let next = schedule.unwrap_or_else(|error| panic!("{line}: {error}")).next(time(columns[1]));
        let expected = (columns[2] != "never").then(|| time(columns[2]));
        assert_eq!(next, expected, "{line}");
        answers += 1;
    }
    assert!(answers > 300, "{answers}");
}

#[test]
fn a_day_that_the_zone_left_out_is_passed_over() {
    let schedule: Schedule = "TZ=Pacific/Apia 0 3 * * sun".parse().unwrap();
    assert_eq!(schedule.next(time("2011-12-29T23:00:00Z")), Some(time("2011-12-31T13:00:00Z")));
}

/// Images are made without any, and so are some machines.
#[test]
fn time_zones_are_compiled_in() {
    for zone in ["Europe/Berlin", "America/St_Johns", "Asia/Kolkata"] {
        let zone = jiff::tz::TimeZoneDatabase::bundled().get(zone);
        assert!(zone.is_ok(), "{zone:?}");
    }
}

#[test]
fn errors_say_which_field_and_what_is_allowed() {
    check_refused(
        "0 25 * * *",
        "failed to read the schedule \"0 25 * * *\": hour \"25\" is outside of 0-23; allowed: 0-23, lists \"6,18\", \
         ranges \"8-17\", steps \"*/6\"",
    );
    check_refused(
        "0 0 * * 7",
        "failed to read the schedule \"0 0 * * 7\": day of week \"7\" is outside of 0-6; allowed: 0-6 or SUN-SAT (Sunday \
         is 0, not 7), lists \"MON,THU\", ranges \"1-5\", steps \"*/2\"",
    );
    check_refused(
        "0 3 * *",
        "failed to read the schedule \"0 3 * *\": it has 4 fields; give five (minute, hour, day of month, month, day of \
         week), such as \"0 3 * * *\"",
    );
    check_refused(
        "@every 30s",
        "failed to accept the schedule \"@every 30s\": a backup cannot be due more often than every minute",
    );
    check_refused(
        "0 0 30 2 *",
        "failed to read the schedule \"0 0 30 2 *\": none of its months has such a day, so it would never run",
    );
    check_refused(
        "@every 1h30",
        "failed to read the schedule \"@every 1h30\": the duration has a number without a unit (h, m or s); give hours, \
         minutes and seconds, such as \"@every 1h30m\"",
    );
    check_refused(
        "CRON_TZ=UTC",
        "failed to read the schedule \"CRON_TZ=UTC\": nothing follows the time zone; give \"CRON_TZ=Europe/Berlin 0 3 * * \
         *\"",
    );
}

#[test]
fn what_can_never_run_or_says_nothing_is_refused() {
    for text in
        ["", "   ", "TZ=UTC ", "CRON_TZ=Local 0 0 * * *", ", * * * *", "0 0 31 4,6,9,11 *", "@every 0", "@every 59.9s"]
    {
        assert!(text.parse::<Schedule>().is_err(), "{text:?}");
    }
}

#[test]
fn an_error_quotes_no_more_than_a_hundred_characters() {
    let error = "ä".repeat(100_000).parse::<Schedule>().unwrap_err().to_string();
    assert!(error.chars().count() < 300, "{error}");
}

#[test]
fn the_zone_is_told_as_the_database_writes_it() {
    let zone = |text: &str| text.parse::<Schedule>().unwrap().time_zone().map(str::to_owned);
    assert_eq!(zone("CRON_TZ=europe/berlin @daily").as_deref(), Some("Europe/Berlin"));
    assert_eq!(zone("@daily").as_deref(), Some("UTC"));
    assert_eq!(zone("@every 2h"), None);
}

#[test]
fn time_that_ends_has_no_next() {
    assert_eq!("@daily".parse::<Schedule>().unwrap().next(Timestamp::MAX), None);
    assert_eq!("@every 2h".parse::<Schedule>().unwrap().next(Timestamp::MAX), None);
}

#[test]
fn due_follows_the_last_run() {
    let schedule: Schedule = "0 3 * * *".parse().unwrap();
    let created = time("2026-11-01T12:00:00Z");
    let table = [
        (None, "2026-11-01T12:00:05Z", Some("2026-11-01T12:00:00Z"), "a new one is due at once"),
        (None, "2026-11-01T11:59:00Z", Some("2026-11-01T11:59:00Z"), "also before its creation, by this clock"),
        (Some("2026-11-20T03:00:02Z"), "2026-11-21T02:59:59Z", None, "not yet"),
        (Some("2026-11-20T03:00:02Z"), "2026-11-21T03:00:00Z", Some("2026-11-21T03:00:00Z"), "to the second"),
        (
            Some("2026-11-20T03:00:02Z"),
            "2026-11-25T00:00:00Z",
            Some("2026-11-21T03:00:00Z"),
            "four missed times are one",
        ),
        (Some("2026-11-25T00:00:00Z"), "2026-11-25T00:00:01Z", None, "and are made up for by one run"),
        (Some("2026-11-20T03:30:00Z"), "2026-11-20T03:00:00Z", None, "a clock half an hour behind"),
    ];
    for (last, now, expected, why) in table {
        assert_eq!(due(&schedule, last.map(time), created, time(now)), expected.map(time), "{why}");
    }
}

/// A field as text, and the numbers that it takes.
fn a_field(low: u8, high: u8) -> impl Strategy<Value = (String, Vec<i8>)> {
    let numbers = move |start: u8, end: u8, step: u8| (start..=end).step_by(step.into()).map(u8::cast_signed).collect();
    prop_oneof![
        Just(("*".to_owned(), numbers(low, high, 1))),
        (1..=9_u8).prop_map(move |step| (format!("*/{step}"), numbers(low, high, step))),
        (low..=high).prop_map(move |number| (number.to_string(), numbers(number, number, 1))),
        (low..=high, low..=high, 1..=4_u8).prop_map(move |(one, other, step)| {
            let (start, end) = (one.min(other), one.max(other));
            (format!("{start}-{end}/{step}"), numbers(start, end, step))
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Walks every minute of three weeks and looks at each, where the search leaps.
    #[test]
    fn the_search_finds_what_a_walk_through_every_minute_finds(
        minute in a_field(0, 59),
        hour in a_field(0, 23),
        day_of_month in a_field(1, 31),
        month in prop_oneof![Just(("*".to_owned(), (1..=12).collect())), a_field(1, 12)],
        day_of_week in a_field(0, 6),
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
        begin in 1_759_000_000_i64..1_764_000_000,
    ) {
        let text = format!("TZ={zone} {} {} {} {} {}", minute.0, hour.0, day_of_month.0, month.0, day_of_week.0);
        let Ok(schedule) = text.parse::<Schedule>() else {
            // Days that none of the months has.
            return Ok(());
        };
        let star = |text: &str| text == "*" || text == "*/1";
        let zone = TimeZone::get(zone).unwrap();
        let fits = |second: &i64| {
            let civil = zone.to_datetime(Timestamp::from_second(*second).unwrap());
            let by_month = day_of_month.1.contains(&civil.day());
            let by_week = day_of_week.1.contains(&civil.weekday().to_sunday_zero_offset());
            let day = if star(&day_of_month.0) || star(&day_of_week.0) { by_month && by_week } else { by_month || by_week };
            day && month.1.contains(&civil.month()) && hour.1.contains(&civil.hour()) && minute.1.contains(&civil.minute())
        };
        let first = begin - begin.rem_euclid(60) + 60;
        let last = first + 21 * 86_400;
        let walked = (first..last).step_by(60).find(fits);
        let found = schedule.next(Timestamp::from_second(begin).unwrap()).map(Timestamp::as_second);
        prop_assert_eq!(found.filter(|second| *second < last), walked, "{}", text);
    }
}
