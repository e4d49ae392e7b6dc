use proptest::prelude::*;

use super::*;

const LISTED: &str = concat!(
    r#"{"metadata":{"name":"a","namespace":"ns","uid":"u","resourceVersion":"7","creationTimestamp":null,"#,
    r#""labels":{"x":"1","y":"\u003c"},"deletionGracePeriodSeconds":0,"selfLink":"","managedFields":[{"a":{}}],"#,
    r#""generation":3},"data":{"b":"2","a":"\u003c\/"},"status":{"phase":"Running","n":1.50,"ok":true,"none":null}}"#,
);

#[track_caller]
fn archived(json: &str, expected: &str) {
    let mut out = Vec::new();
    Object::parse(json.as_bytes()).unwrap().write_archived("v1", "Thing", &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[track_caller]
fn refused(json: &str, expected: &ParseError) {
    assert_eq!(&Object::parse(json.as_bytes()).unwrap_err(), expected);
}

#[test]
fn an_archived_object_keeps_all_but_what_belongs_to_this_cluster() {
    archived(
        LISTED,
        concat!(
            r#"{"apiVersion":"v1","kind":"Thing","#,
            r#""metadata":{"name":"a","namespace":"ns","labels":{"x":"1","y":"\u003c"},"generation":3},"#,
            r#""data":{"b":"2","a":"\u003c\/"},"status":{"phase":"Running","n":1.50,"ok":true,"none":null}}"#,
        ),
    );
}

#[test]
fn an_archived_object_has_its_type_in_front_where_it_lacked_it() {
    let whole = r#"{"kind":"K","metadata":{"name":"a"},"apiVersion":"g/v2"}"#;
    archived(whole, whole);
    archived(r#"{"kind":"K","metadata":{"name":"a"}}"#, r#"{"apiVersion":"v1","kind":"K","metadata":{"name":"a"}}"#);
    archived(
        r#"{"apiVersion":"v2","metadata":{"name":"a"},"kind":""}"#,
        r#"{"kind":"Thing","apiVersion":"v2","metadata":{"name":"a"}}"#,
    );
    archived(
        r#" { "apiVersion" : null , "metadata" : { "uid" : "u" , "name" : "a" } , "x" : [ 1 ] } "#,
        r#"{"apiVersion":"v1","kind":"Thing","metadata":{"name":"a"},"x":[ 1 ]}"#,
    );
}

#[test]
fn escaped_keys_are_known_and_kept() {
    archived(
        r#"{"kind":"K","apiVersion":"v1","metad\u0061ta":{"n\u0061me":"a","u\u0069d":"u","\u003c":1},"\ud800":2}"#,
        r#"{"kind":"K","apiVersion":"v1","metad\u0061ta":{"n\u0061me":"a","\u003c":1},"\ud800":2}"#,
    );
}

#[test]
fn names_are_read() {
    let object = Object::parse(LISTED.as_bytes()).unwrap();
    assert_eq!((object.name(), object.namespace()), ("a", Some("ns")));
    assert_eq!((object.api_version(), object.kind()), (None, None));
    let json = br#"{"kind":"K","apiVersion":"g/v1","metadata":{"name":"u:\u003cview\u003e","namespace":""}}"#;
    let object = Object::parse(json).unwrap();
    assert_eq!((object.name(), object.namespace()), ("u:<view>", None));
    assert_eq!((object.api_version(), object.kind()), (Some("g/v1"), Some("K")));
}

#[test]
fn labels_are_read_when_asked_for() {
    let labels = Object::parse(LISTED.as_bytes()).unwrap().labels().unwrap();
    assert_eq!(labels, BTreeMap::from([("x".to_owned(), "1".to_owned()), ("y".to_owned(), "<".to_owned())]));
    for none in [r#"{"metadata":{"name":"a"}}"#, r#"{"metadata":{"name":"a","labels":null}}"#] {
        assert_eq!(Object::parse(none.as_bytes()).unwrap().labels(), Ok(BTreeMap::new()));
    }
    let broken = Object::parse(br#"{"metadata":{"name":"a","labels":{"x":1}}}"#).unwrap().labels();
    assert!(matches!(broken, Err(ParseError::MemberType { member: "metadata.labels", .. })));
}

#[test]
fn fields_are_found_by_path() {
    let object = Object::parse(LISTED.as_bytes()).unwrap();
    for (path, expected) in [
        ("metadata.name", Some("a")),
        ("metadata.labels.y", Some("<")),
        ("status.phase", Some("Running")),
        ("status.n", Some("1.50")),
        ("status.ok", Some("true")),
        ("status.none", None),
        ("status", None),
        ("status.phase.deeper", None),
        ("spec.nodeName", None),
        ("", None),
        ("..", None),
    ] {
        assert_eq!(object.field(path).as_deref(), expected, "{path:?}");
    }
}

#[test]
fn an_object_vanishes_once_it_is_deleted_and_nothing_holds_it() {
    for (kind, metadata, rest, vanishing) in [
        ("Secret", r#""x":1"#, "", false),
        ("Secret", r#""deletionTimestamp":null"#, "", false),
        ("Secret", r#""deletionTimestamp":"t""#, "", true),
        ("Secret", r#""deletionTimestamp":"t","finalizers":[]"#, "", true),
        ("Secret", r#""deletionTimestamp":"t","finalizers":null"#, "", true),
        ("Secret", r#""deletionTimestamp":"t","finalizers":["f"]"#, "", false),
        ("Secret", r#""deletionTimestamp":"t""#, r#","spec":{"finalizers":["f"]}"#, true),
        ("Namespace", r#""deletionTimestamp":"t""#, r#","spec":{"finalizers":["kubernetes"]}"#, false),
        ("Namespace", r#""deletionTimestamp":"t""#, r#","spec":{"finalizers":[]}"#, true),
        ("Namespace", r#""deletionTimestamp":"t","finalizers":["f"]"#, r#","spec":{}"#, true),
        ("Namespace", r#""deletionTimestamp":"t","finalizers":["f"]"#, "", true),
        ("Namespace", r#""finalizers":["f"]"#, "", false),
    ] {
        let json = format!(r#"{{"metadata":{{"name":"a",{metadata}}}{rest}}}"#);
        assert_eq!(Object::parse(json.as_bytes()).unwrap().is_vanishing(kind), vanishing, "{kind} {json}");
    }
}

#[test]
fn what_is_no_object_is_refused() {
    let doubled = |place, key: &str| ParseError::DoubledKey { place, key: key.to_owned() };
    refused("[]", &ParseError::NotAnObject { place: "the top level" });
    refused(r#"{"metadata":"text"}"#, &ParseError::NotAnObject { place: "metadata" });
    refused(r#"{"metadata":{}}"#, &ParseError::NameMissing);
    refused(r#"{"metadata":{"name":""}}"#, &ParseError::NameMissing);
    refused("{}", &ParseError::NameMissing);
    let not_text = ParseError::MemberType { member: "metadata.name", expected: "a string" };
    refused(r#"{"metadata":{"name":1}}"#, &not_text);
    refused(r#"{"metadata":{"name":"\ud800"}}"#, &not_text);
    refused(r#"{"metadata":{"name":"a"},"metadata":{"name":"b"}}"#, &doubled("the top level", "metadata"));
    refused(r#"{"metadata":{"name":"a","uid":1,"\u0075id":2}}"#, &doubled("metadata", "uid"));
    let many: Vec<String> = (0..4096).map(|number| format!("\"{number}\":0")).collect();
    let many = format!(r#"{{"metadata":{{"name":"a"}},{}}}"#, many.join(","));
    refused(&many, &ParseError::TooManyMembers { place: "the top level", limit: 4096 });
    for broken in ["", "{", r#"{"metadata":{"name":"a"}"#, r#"{"metadata":{"name":"a"}}x"#, r#"{"a":"\x"}"#] {
        assert!(matches!(Object::parse(broken.as_bytes()), Err(ParseError::Malformed { .. })), "{broken:?}");
    }
}

#[test]
fn debug_shows_no_content() {
    let json = br#"{"kind":"Secret","metadata":{"name":"a"},"data":{"password":"c2VjcmV0"}}"#;
    let debug = format!("{:?}", Object::parse(json).unwrap());
    assert!(debug.contains("Secret") && !debug.contains("c2VjcmV0") && !debug.contains("password"), "{debug}");
}

#[test]
fn a_page_is_split_into_its_items() {
    let body = concat!(
        r#"{"kind":"SecretList","apiVersion":"v1","metadata":{"resourceVersion":"9","continue":"t\u003d","#,
        r#""remainingItemCount":12},"items":[{"metadata":{"name":"a"}}, {"metadata":{"name":"b"}}]}"#,
    );
    let page = ListPage::parse(body.as_bytes()).unwrap();
    assert_eq!(page.continue_token.as_deref(), Some("t="));
    assert_eq!(page.resource_version.as_deref(), Some("9"));
    let names: Vec<String> =
        page.items.iter().map(|item| Object::parse(item.get().as_bytes()).unwrap().name().to_owned()).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn a_last_page_has_no_token() {
    for body in [r#"{"metadata":{"continue":""},"items":null}"#, r#"{"items":[]}"#, r#"{"metadata":{},"items":[]}"#] {
        let page = ListPage::parse(body.as_bytes()).unwrap();
        assert_eq!((page.continue_token, page.items.len()), (None, 0), "{body}");
    }
}

#[test]
fn an_answer_without_items_is_no_empty_list() {
    for body in [r#"{"kind":"Status","status":"Failure"}"#, "{}", "[]", r#"{"items":{}}"#, "null"] {
        assert!(matches!(ListPage::parse(body.as_bytes()), Err(ParseError::NotAList { .. })), "{body}");
    }
    assert!(matches!(ListPage::parse(b"{\"items\":[{\"a\":"), Err(ParseError::Malformed { .. })));
}

#[test]
fn depth_is_counted_outside_of_strings() {
    for (json, depth) in [
        ("1", 0),
        ("\"[[[[\"", 0),
        ("[]", 1),
        (r#"{"a":"\"[","b":[1]}"#, 2),
        (r#"{"a\\":{"b":{}},"c":[]}"#, 3),
        (" [ [ ] , [ [ ] ] ] ", 3),
    ] {
        assert_eq!(depth_within(json.as_bytes(), depth), Ok(()), "{json}");
        if let Some(limit) = usize::checked_sub(depth, 1) {
            assert_eq!(depth_within(json.as_bytes(), limit), Err(ParseError::TooDeep { limit }), "{json}");
        }
    }
}

#[test]
fn what_the_json_library_reads_as_something_else_is_refused() {
    let reserved = |offset| Err(ParseError::ReservedKey { offset });
    let key = "$serde_json::private::RawValue";
    assert_eq!(depth_within(format!(r#"{{"{key}":"1"}}"#).as_bytes(), 9), reserved(1));
    assert_eq!(depth_within(format!(r#" {{"a":[{{"b":1,"{key}" : "1"}}]}}"#).as_bytes(), 9), reserved(14));
    let escaped = key.replace('R', "\\u0052");
    assert_eq!(depth_within(format!(r#"{{"{escaped}":"1"}}"#).as_bytes(), 9), reserved(1));
    // As a value it means nothing.
    assert_eq!(depth_within(format!(r#"{{"a":"{key}"}}"#).as_bytes(), 9), Ok(()));
}

#[test]
fn what_has_no_value_is_refused() {
    for json in [r#"["\ud800"]"#, r#"["\udc00\ud800"]"#, "[1e999]", &format!("[1{}]", "0".repeat(400))] {
        assert!(matches!(depth_within(json.as_bytes(), 9), Err(ParseError::Unreadable { offset: 1, .. })), "{json}");
    }
    assert_eq!(depth_within(br#"["\ud83d\ude00", 1e308, -0.1E-400]"#, 9), Ok(()));
}

/// JSON, some of it broken: texts are joined from pieces that mean something to a parser.
fn nearly_json() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"a\"",
        "\"\\u0041\"",
        "\"\\ud800\"",
        "\"\\\\\"",
        "1",
        "-0.5e3",
        "1e999",
        "-",
        "null",
        "true",
        " ",
        "\n",
        "\\",
        "\u{1}",
        "ü",
        "{\"a\":",
        "[1,",
        "\"$serde_json::private::RawValue\"",
    ]);
    prop_oneof![
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat()),
        (tree(), any::<prop::sample::Index>(), prop::sample::select(vec!["", "\"", "]", "\\", "0", "e9999"])).prop_map(
            |(value, index, change)| {
                let mut json = value.to_string();
                let at = index.index(json.len());
                if json.is_char_boundary(at) {
                    json.insert_str(at, change);
                }
                json
            }
        ),
    ]
}

fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![any::<f64>().prop_map(Value::from), "\\PC{0,5}".prop_map(Value::from), Just(Value::Null)];
    leaf.prop_recursive(6, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z\"\\\\]{0,3}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// What is accepted parses, and what parses is accepted, but for the reserved key.
    #[test]
    fn what_is_well_formed_is_what_parses(json in nearly_json()) {
        let checked = depth_within(json.as_bytes(), 100);
        let parsed = serde_json::from_str::<Value>(&json);
        if !matches!(checked, Err(ParseError::ReservedKey { .. })) {
            prop_assert_eq!(checked.is_ok(), parsed.is_ok(), "{:?} {:?} {:?}", json, checked, parsed);
        }
    }

    /// The whole of an object that drops nothing is the object, byte for byte.
    #[test]
    fn what_is_kept_is_kept_byte_for_byte(spec in tree(), annotation in "\\PC{0,9}") {
        let metadata = serde_json::json!({ "name": "a", "annotations": { "x": annotation } });
        let json = format!(r#"{{"apiVersion":"v1","kind":"K","metadata":{metadata},"spec":{spec}}}"#);
        let mut out = Vec::new();
        Object::parse(json.as_bytes()).unwrap().write_archived("other", "Other", &mut out);
        prop_assert_eq!(String::from_utf8(out).unwrap(), json);
    }

    #[test]
    fn any_bytes_are_split_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Object::parse(&bytes);
        let _ = ListPage::parse(&bytes);
        let _ = depth_within(&bytes, 9);
    }
}
