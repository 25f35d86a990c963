//! `--set spec.path=value`: values that win over the file's.

use serde_json::{Map, Value};

/// Sets one value of an object, given as `path=value`. The value is read as JSON (numbers, true, lists), and where it
/// is none as text.
///
/// # Errors
/// Words that name the setting and what is wrong with it.
pub(super) fn apply(object: &mut Value, setting: &str) -> Result<(), String> {
    let fail = |why: &str| format!("--set {setting:?}: {why}; write for example --set spec.limits.lanes=4");
    let (path, value) = setting.split_once('=').ok_or_else(|| fail("there is no ="))?;
    if !path.starts_with("spec.") {
        return Err(fail("the path does not begin with spec."));
    }
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    let mut at = object;
    for name in path.split('.') {
        let (name, indexes) = name.split_once('[').map_or((name, ""), |(name, rest)| (name, rest));
        if name.is_empty() {
            return Err(fail("a name in the path is empty"));
        }
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
        let members =
            at.as_object_mut().ok_or_else(|| fail(&format!("what is before {name} has no fields")))?;
        at = members.entry(name).or_insert(Value::Null);
        for index in indexes.split('[').filter(|index| !index.is_empty()) {
            let number = index.strip_suffix(']').and_then(|digits| digits.parse::<usize>().ok());
            let number = number.ok_or_else(|| fail("an index is no number"))?;
            let entry = at.as_array_mut().and_then(|list| list.get_mut(number));
            at = entry.ok_or_else(|| fail(&format!("there is no entry {number} of {name}")))?;
        }
    }
    *at = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_set_where_the_path_leads() {
        let mut task = json!({"spec": {"sink": {"elasticsearch": {"addresses": ["a", "b"]}}}});
        for setting in [
            "spec.limits.lanes=4",
            "spec.sink.elasticsearch.addresses[1]=http://x:9200/?a=b",
            "spec.sink.elasticsearch.gzip=true",
            "spec.mapping.tables=[{\"table\":\"t\",\"all\":true}]",
        ] {
            apply(&mut task, setting).unwrap();
        }
        assert_eq!(
            task,
            json!({"spec": {
                "limits": {"lanes": 4},
                "mapping": {"tables": [{"table": "t", "all": true}]},
                "sink": {"elasticsearch": {"addresses": ["a", "http://x:9200/?a=b"], "gzip": true}},
            }})
        );
    }

    #[test]
    fn what_cannot_be_set_is_named() {
        let mut task = json!({"spec": {"a": 1, "list": [1]}});
        for (setting, why) in [
            ("spec.a", "there is no ="),
            ("metadata.name=x", "does not begin with spec."),
            ("spec.a.b=1", "what is before b has no fields"),
            ("spec.list[7]=1", "there is no entry 7 of list"),
            ("spec.list[x]=1", "no number"),
            ("spec..b=1", "empty"),
        ] {
            let error = apply(&mut task, setting).unwrap_err();
            assert!(error.contains(why) && error.contains("--set"), "{setting}: {error}");
        }
    }
}
