use super::*;

/// `{"a": 1, "b": [true, "x"]}` as MySQL 9.7 stores it.
const DOCUMENT: &[u8] = &[
    0, 2, 0, 37, 0, 18, 0, 1, 0, 19, 0, 1, 0, 5, 1, 0, 2, 20, 0, b'a', b'b', 2, 0, 12, 0, 4, 1, 0, 12, 10, 0,
    1, b'x', 0, 0, 0, 0, 0,
];

#[test]
fn containers_nest() {
    assert_eq!(to_text(DOCUMENT).unwrap(), r#"{"a": 1, "b": [true, "x"]}"#);
}

#[test]
fn nothing_is_null() {
    assert_eq!(to_text(&[]).unwrap(), "null");
}

#[test]
fn offsets_beyond_the_bytes_are_errors() {
    for cut in 0..33 {
        let _ = to_text(&DOCUMENT[..cut]);
    }
    let mut bad = DOCUMENT.to_vec();
    bad[17] = 200;
    assert!(to_text(&bad).is_err());
    bad = DOCUMENT.to_vec();
    bad[1] = 250;
    assert!(to_text(&bad).is_err());
}

#[test]
fn a_container_that_holds_itself_ends() {
    // An array whose one member is at offset 0: itself.
    assert!(to_text(&[2, 1, 0, 7, 0, 2, 0, 0, 0]).is_err());
}

#[test]
fn members_that_share_a_value_do_not_multiply() {
    // Each of 60 nested arrays has two members, both the next array.
    let mut bytes = vec![4, 0];
    for _ in 0..60 {
        let size = (bytes.len() + 9) as u16;
        let mut outer = vec![2, 2, 0];
        outer.extend(size.to_le_bytes());
        outer.extend([bytes[0], 10, 0, bytes[0], 10, 0]);
        outer.extend(&bytes[1..]);
        bytes = outer;
    }
    assert!(to_text(&bytes).is_err());
}

#[test]
fn differences_apply() {
    let number = [5, 7, 0];
    let diff = |operation: u8, path: &str, value: Option<&[u8]>| {
        let mut out = vec![operation, path.len() as u8];
        out.extend(path.as_bytes());
        if let Some(value) = value {
            out.push(value.len() as u8);
            out.extend(value);
        }
        out
    };
    let all = [
        diff(0, "$.a", Some(&number)),
        diff(1, "$.b[1]", Some(&number)),
        diff(1, "$.aa", Some(&number)),
        diff(2, "$.b[0]", None),
    ]
    .concat();
    assert_eq!(apply_diffs(DOCUMENT, &all).unwrap(), r#"{"a": 7, "b": [7, "x"], "aa": 7}"#);
    assert!(apply_diffs(DOCUMENT, &diff(0, "$.zz", Some(&number))).is_err());
    assert_eq!(apply_diffs(DOCUMENT, &diff(0, "$", Some(&number))).unwrap(), "7");
}
