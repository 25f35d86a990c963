use super::*;

fn column(output: &str, kind: ColumnKind) -> KeyColumn {
    KeyColumn {
        name: output.to_owned(),
        output: output.to_owned(),
        kind,
        unsigned: false,
        collation: None,
        width: 0,
        sql_type: String::new(),
    }
}

fn text(text: &str) -> KeyPart {
    KeyPart::Text(text.into())
}

#[test]
fn the_plain_template_is_the_keys_own_id() {
    let columns = [column("a", ColumnKind::Text), column("b", ColumnKind::Int)];
    for (name, part) in ["x", "a|b\\", "", "||", "\\|"].iter().zip([1, -1, 7, 0, 9]) {
        let key = Key::new([text(name), KeyPart::Int(part)]);
        let plain = IdTemplate::plain(2);
        assert_eq!(plain.id_of(&key), key.document_id());
        assert_eq!(plain.key_of(&columns, &key.document_id()), key);
    }
    let one = Key::new([text("a|b\\")]);
    assert_eq!(IdTemplate::plain(1).id_of(&one), "a|b\\");
    assert_eq!(IdTemplate::plain(1).key_of(columns.split_at(1).0, "a|b\\"), one);
}

#[test]
fn no_two_keys_have_the_same_id_and_each_leads_back() {
    let columns = [column("a", ColumnKind::Text), column("b", ColumnKind::Text)];
    for template in ["{a}-{b}", "x{b}--{a}-", "-{a}ö{b}-", "{b}ab{a}ab"] {
        let template = IdTemplate::parse(template, &columns).unwrap();
        let words = ["", "-", "--", "a", "ab", "aab", "b-a", "\\", "\\-", "-\\", "ö-"];
        let mut ids = std::collections::HashSet::new();
        for (a, b) in words.iter().flat_map(|a| words.iter().map(move |b| (a, b))) {
            let key = Key::new([text(a), text(b)]);
            let id = template.id_of(&key);
            assert_eq!(template.key_of(&columns, &id), key, "{template:?} {id}");
            assert!(ids.insert(id), "{template:?} {key:?}");
        }
    }
}

#[test]
fn ids_of_others_lead_back_to_themselves_and_fit_no_key() {
    let columns = [column("id", ColumnKind::Int)];
    let template = IdTemplate::parse("order-{id}", &columns).unwrap();
    assert_eq!(template.id_of(&Key::int(5)), "order-5");
    assert_eq!(template.key_of(&columns, "order-5"), Key::int(5));
    for id in ["5", "order-", "order-x", "order-05", "user-5"] {
        let key = template.key_of(&columns, id);
        assert!(!fits(&columns, &key), "{id}");
        assert_eq!(template.id_of(&key), id);
    }
}

#[test]
fn bad_templates_are_named() {
    let columns = [column("a", ColumnKind::Int), column("b", ColumnKind::Int)];
    for (template, words) in [
        ("{a}", "a column of the key is missing"),
        ("{a}{b}", "nothing stands before {b}"),
        ("{a}-{c}", "{c} is no column of query.key"),
        ("{a}-{a}-{b}", "{a} stands twice"),
        ("{a}-{b", "a { without a }"),
        ("{a}\\{b}", "\\ is what"),
        ("", "a column of the key is missing"),
    ] {
        let error = IdTemplate::parse(template, &columns).unwrap_err();
        assert!(
            error.contains(words) && error.ends_with("write {a} and {b} once each, with text between"),
            "{error}"
        );
    }
}

#[test]
fn routing_comes_from_the_key_or_the_row() {
    let columns = [column("tenant", ColumnKind::Int), column("id", ColumnKind::Int)];
    let with = |name| Addresses { ids: IdTemplate::plain(2), routing: Routing::of(name, &columns) };
    let key = Key::new([KeyPart::Int(7), KeyPart::Int(1)]);
    let row = br#"{"tenant":7,"id":1,"city":"K\u00f6ln","none":null,"list":[1]}"#;
    let of = |name| with(name).routing_of_row(&key, row).map(|found| found.map(Cow::into_owned));
    assert_eq!(of(None), Ok(None));
    assert_eq!(of(Some("tenant")), Ok(Some("7".to_owned())));
    assert_eq!(of(Some("city")), Ok(Some("Köln".to_owned())));
    assert!(of(Some("none")).unwrap_err().contains("\"none\" is NULL"));
    assert!(of(Some("list")).unwrap_err().contains("[1]"));
    assert!(
        with(Some("tenant")).is_elsewhere(&key, Some("8"))
            && !with(Some("tenant")).is_elsewhere(&key, Some("7"))
    );
    assert!(with(None).is_elsewhere(&key, Some("8")) && !with(None).is_elsewhere(&key, None));
}
