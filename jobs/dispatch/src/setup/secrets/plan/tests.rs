use super::*;

const NOW: &str = "2026-11-25T12:00:00Z";

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn decide(found: &Found, now: &str) -> Result<Plan, Error> {
    let place = Place { namespace: "drover", folder: Path::new("/etc/nats"), data: Path::new("/data") };
    plan(found, at(now), &Fresh::new().unwrap(), &place)
}

fn apply(found: &mut Found, writes: &[Write]) {
    for Write { secret, data } in writes {
        found.entry(secret.clone()).or_default().extend(data.clone());
    }
}

/// What lies in the Secrets after a start that nobody disturbed.
fn started(mut found: Found, now: &str) -> Found {
    let plan = decide(&found, now).unwrap();
    apply(&mut found, &plan.writes);
    check_everybody_gets_in(&found);
    found
}

fn text<'a>(found: &'a Found, secret: &str, key: &str) -> &'a str {
    std::str::from_utf8(Content(found.get(secret)).get(key)).unwrap()
}

fn accepted(found: &Found, job: &str) -> Vec<String> {
    rotation::read_record(text(found, SERVER, "nkeys.json").as_bytes()).remove(job).unwrap()
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.writes.iter().map(|write| write.secret.as_str()).collect()
}

/// That a server with these Secrets takes the key of each job, and shows a certificate that the job trusts.
#[track_caller]
fn check_everybody_gets_in(found: &Found) {
    let certificate = certificates::read(text(found, SERVER, "tls.crt").as_bytes()).unwrap().remove(0);
    for job in JOBS {
        let key = held_key(found, job).unwrap();
        assert!(accepted(found, job).contains(&key), "{job}");
        assert!(text(found, SERVER, "nats.conf").contains(&format!("nkey: {key}, permissions: ${job} ")), "{job}");
        let bundle = text(found, &secret_of(job), "ca.crt");
        assert_eq!(bundle, text(found, SERVER, "ca.crt"), "{job}");
        let authorities = certificates::read(bundle.as_bytes()).unwrap();
        assert!(authorities.iter().any(|authority| authority.issuer == certificate.issuer), "{job}");
    }
}

#[test]
fn the_first_start_fills_every_secret_the_server_before_the_jobs() {
    let plan = decide(&Found::new(), NOW).unwrap();
    assert_eq!(names(&plan), secrets().iter().map(String::as_str).collect::<Vec<_>>());
    let found = started(Found::new(), NOW);
    for job in JOBS {
        assert_eq!(accepted(&found, job), [held_key(&found, job).unwrap()], "{job}");
    }
}

#[test]
fn the_configuration_holds_no_secret_and_the_files_what_it_names() {
    let plan = decide(&Found::new(), NOW).unwrap();
    let mut found = Found::new();
    apply(&mut found, &plan.writes);
    let configuration = text(&found, SERVER, "nats.conf");
    assert_eq!(plan.files["nats.conf"], configuration.as_bytes());
    for secret in [text(&found, SERVER, "jetstream-key"), text(&found, "nats-upload", "nkey")] {
        assert!(!secret.is_empty() && !configuration.contains(secret));
    }
    for name in ["tls.crt", "tls.key"] {
        assert_eq!(plan.files[name], text(&found, SERVER, name).as_bytes());
        assert!(configuration.contains(&format!("\"/etc/nats/{name}\"")));
    }
    let encryption = format!("key: \"{}\"\n", text(&found, SERVER, "jetstream-key"));
    assert_eq!(plan.files["jetstream-key.conf"], encryption.as_bytes());
    assert!(configuration.contains("include jetstream-key.conf") && configuration.contains("store_dir: \"/data/"));
}

#[test]
fn each_start_gives_new_keys_and_a_new_certificate_and_takes_the_keys_of_the_start_before() {
    let first = started(Found::new(), NOW);
    let plan = decide(&first, NOW).unwrap();
    assert_eq!(names(&plan), &secrets().iter().map(String::as_str).collect::<Vec<_>>()[1..], "the authority stays");
    let second = started(first.clone(), NOW);
    for job in JOBS {
        let keys = [&second, &first].map(|found| held_key(found, job).unwrap());
        assert_eq!(accepted(&second, job), keys, "{job}");
        assert_eq!(text(&first, &secret_of(job), "ca.crt"), text(&second, &secret_of(job), "ca.crt"));
    }
    assert_ne!(text(&first, SERVER, "tls.crt"), text(&second, SERVER, "tls.crt"));
    assert_eq!(text(&first, SERVER, "jetstream-key"), text(&second, SERVER, "jetstream-key"));
    let third = started(second, NOW);
    assert!(!accepted(&third, "upload").contains(&held_key(&first, "upload").unwrap()), "and no older ones");
}

/// Starts that are killed after so many writes each, and then one that is not.
#[track_caller]
fn check_killed(before: &Found, kills: &[usize]) {
    let (mut found, mut complete) = (before.clone(), false);
    for kill in kills {
        let plan = decide(&found, NOW).unwrap();
        complete |= *kill >= plan.writes.len();
        apply(&mut found, &plan.writes[..(*kill).min(plan.writes.len())]);
    }
    let found = started(found, NOW);
    for job in JOBS {
        // The pods that began under the last server that ran may still have read its key.
        let earlier = held_key(before, job);
        assert!(complete || earlier.is_none_or(|key| accepted(&found, job).contains(&key)), "{job}, {kills:?}");
    }
}

#[test]
fn a_start_that_was_killed_after_any_write_locks_nobody_out() {
    let first = started(Found::new(), NOW);
    for before in [Found::new(), first] {
        for kill in 0..=secrets().len() {
            check_killed(&before, &[kill]);
        }
        for kills in [[1, 1], [1, 3], [2, 1], [3, 3], [4, 2], [5, 1]] {
            check_killed(&before, &kills);
        }
    }
}

#[test]
fn a_start_that_is_killed_for_ever_does_not_fill_the_secret() {
    let mut found = Found::new();
    for _ in 0..6 {
        let plan = decide(&found, NOW).unwrap();
        apply(&mut found, &plan.writes[..2]);
        assert!(accepted(&found, "upload").len() <= 4);
    }
}

#[test]
fn an_authority_is_renewed_well_before_its_end_and_the_old_one_is_trusted_until_it() {
    let first = started(Found::new(), NOW);
    let authorities = |found: &Found| certificates::read(text(found, SERVER, "ca.crt").as_bytes()).unwrap();
    let old = authorities(&first).remove(0);
    assert_eq!(old.ends, at("2046-11-25T00:00:00Z"));

    let kept = started(first.clone(), "2036-11-24T12:00:00Z");
    assert_eq!(text(&kept, AUTHORITY, "tls.crt"), old.text);
    let renewed = started(first.clone(), "2036-11-25T12:00:00Z");
    let (newest, both) = (text(&renewed, AUTHORITY, "tls.crt"), authorities(&renewed));
    assert_eq!([newest, &old.text], [&both[0].text, &both[1].text].map(String::as_str));
    // A kill right after the new authority was written.
    let plan = decide(&first, "2036-11-25T12:00:00Z").unwrap();
    let mut killed = first.clone();
    apply(&mut killed, &plan.writes[..1]);
    assert_eq!(authorities(&started(killed, "2036-11-25T12:00:00Z")).len(), 2);

    let later = started(renewed.clone(), "2046-11-26T12:00:00Z");
    assert!(authorities(&later).iter().all(|authority| authority.text != old.text));
}

#[test]
fn an_authority_that_was_lost_is_made_anew() {
    let mut found = started(Found::new(), NOW);
    found.remove(AUTHORITY);
    let found = started(found, NOW);
    assert_eq!(certificates::read(text(&found, "nats-upload", "ca.crt").as_bytes()).unwrap().len(), 2);
}

/// A server's certificate, its key, and the authority of somebody else.
fn foreign_certificate() -> SecretData {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["nats".to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "somebody's authority");
    let certificate = params.self_signed(&key).unwrap().pem();
    data([("tls.crt", certificate.clone()), ("tls.key", key.serialize_pem()), ("ca.crt", certificate)])
}

#[test]
fn somebody_elses_certificate_is_used_as_it_is() {
    let foreign = foreign_certificate();
    for before in [Found::new(), started(Found::new(), NOW)] {
        let mut found = before;
        found.entry(SERVER.to_owned()).or_default().extend(foreign.clone());
        let plan = decide(&found, NOW).unwrap();
        assert!(names(&plan).iter().all(|name| *name != AUTHORITY), "nothing is signed");
        assert_eq!(plan.writes[0].data.keys().collect::<Vec<_>>(), ["jetstream-key", "nats.conf", "nkeys.json"]);
        for name in ["tls.crt", "tls.key"] {
            assert_eq!(plan.files[name], foreign[name].0);
        }
        started(found, NOW);
    }
}

#[test]
fn a_certificate_that_cannot_be_used_is_refused_by_its_name() {
    for (key, value, expected) in [
        ("tls.key", "", "\"tls.key\" is missing"),
        ("ca.crt", " ", "\"ca.crt\" is missing"),
        ("ca.crt", "nonsense", "\"ca.crt\" of the Secret \"nats-server\""),
        ("tls.crt", "nonsense", "\"tls.crt\" of the Secret \"nats-server\""),
        ("jetstream-key", "a\"}", "\"jetstream-key\""),
    ] {
        let mut found = Found::from([(SERVER.to_owned(), foreign_certificate())]);
        found.get_mut(SERVER).unwrap().insert(key.to_owned(), ByteString(value.into()));
        let error = decide(&found, NOW).err().unwrap();
        assert_eq!(error.exit(), Exit::Usage);
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn an_authority_with_another_key_is_refused() {
    let mut found = started(Found::new(), NOW);
    let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
    found.get_mut(AUTHORITY).unwrap().insert("tls.key".to_owned(), ByteString(other.into_bytes()));
    assert!(matches!(decide(&found, NOW), Err(Error::Authority)));
}
