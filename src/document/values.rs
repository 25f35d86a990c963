//! One value at a time.

use super::fields::{Fields, Node, quoted};

/// The text that a JSON text is; an error says what it is instead.
fn text(json: &str) -> Result<String, String> {
    serde_json::from_str(json).map_err(|_| "it is no text".to_owned())
}

/// A text into the list of its parts; null stays.
pub(super) fn split(json: &str, sep: &str, trim: bool) -> Result<String, String> {
    let text = text(json)?;
    let parts = text.split(sep).map(|part| if trim { part.trim() } else { part });
    let parts: Vec<String> = parts.filter(|part| !part.is_empty()).map(quoted).collect();
    Ok(format!("[{}]", parts.join(",")))
}

/// What a text's JSON says; objects and lists stay.
pub(super) fn decode(json: &str) -> Result<String, String> {
    if json.starts_with(['{', '[']) {
        return Ok(json.to_owned());
    }
    let text = text(json)?;
    let held: &serde_json::value::RawValue =
        serde_json::from_str(&text).map_err(|error| format!("it holds no JSON ({error})"))?;
    // in a bulk a line break would end the document; in JSON it is white space
    Ok(held.get().replace(['\n', '\r'], " "))
}

/// Lower case; lists of texts too.
pub(super) fn lowercase(json: &str) -> Result<String, String> {
    if json.starts_with('[') {
        let elements: Vec<Option<String>> =
            serde_json::from_str(json).map_err(|_| "it is no list of texts".to_owned())?;
        let lower = |element: Option<String>| match element {
            Some(text) => quoted(&text.to_lowercase()),
            None => "null".to_owned(),
        };
        let elements: Vec<String> = elements.into_iter().map(lower).collect();
        return Ok(format!("[{}]", elements.join(",")));
    }
    Ok(quoted(&text(json)?.to_lowercase()))
}

/// A geo_point of two fields; null where one of both is.
pub(super) fn point(fields: &Fields<'_>, lat: &str, lon: &str) -> Result<String, (String, String)> {
    let find = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, node)| node);
    let coordinate = |name: &str, limit: f64| -> Result<Option<String>, (String, String)> {
        let Some(node) = find(name).filter(|node| !node.is_null()) else { return Ok(None) };
        let json = node.text();
        let digits = if json.starts_with('"') { text(&json).unwrap_or_default() } else { json.into_owned() };
        let digits = digits.trim();
        let legal = digits.parse::<f64>().is_ok_and(|value| value.abs() <= limit);
        // what Rust reads as a float and JSON does not: "+1", ".5", "5.", "inf"
        let json_number = serde_json::from_str::<serde_json::Number>(digits).is_ok();
        if legal && json_number {
            return Ok(Some(digits.to_owned()));
        }
        Err((name.to_owned(), format!("it is no number from -{limit} to {limit}")))
    };
    Ok(match (coordinate(lat, 90.0)?, coordinate(lon, 180.0)?) {
        (Some(lat), Some(lon)) => format!("{{\"lat\":{lat},\"lon\":{lon}}}"),
        _ => "null".to_owned(),
    })
}

/// Is the value one of these? Numbers are compared as they are written, texts as texts.
pub(super) fn is_one_of(node: &Node<'_>, values: &[String]) -> bool {
    let json = node.text();
    let plain = if json.starts_with('"') { text(&json).unwrap_or_default() } else { json.into_owned() };
    !node.is_null() && values.contains(&plain)
}
