//! Prints row events as `mysqlbinlog -v --base64-output=DECODE-ROWS` does, line by line.

use binlog_operator::binlog::{ColumnDetail, Image, RowsEvent, RowsKind, json};
use binlog_operator::model::{Column, ColumnKind, Value};

/// A line, or what must be compared otherwise.
#[derive(Debug)]
pub(crate) enum Line {
    /// Exactly this text.
    Text(String),
    /// This column, and a number that `mysqlbinlog` prints with fewer or more digits.
    Float(usize, f32),
    /// As above.
    Double(usize, f64),
    /// A JSON difference, which is printed as calls of functions.
    Diff(usize),
}

/// The lines of one event.
pub(crate) fn print(rows: &RowsEvent<'_>, out: &mut Vec<Line>) {
    let name = rows.table.name.quoted();
    let mut rest = rows.rows();
    while let Some(row) = rest.next().unwrap() {
        let (verb, first) = match rows.kind {
            RowsKind::Insert => ("INSERT INTO", "SET"),
            RowsKind::Update => ("UPDATE", "WHERE"),
            RowsKind::Delete => ("DELETE FROM", "WHERE"),
        };
        if rows.kind == RowsKind::Insert && (0..rows.table.columns.len()).all(|i| !rows.has_after(i)) {
            out.push(Line::Text(format!("### {verb} {name} VALUES ()")));
            continue;
        }
        out.push(Line::Text(format!("### {verb} {name}")));
        out.push(Line::Text(format!("### {first}")));
        let mut images = [row.before, row.after].into_iter().flatten();
        print_image(rows, &images.next().unwrap(), out);
        if let Some(after) = images.next() {
            out.push(Line::Text("### SET".into()));
            print_image(rows, &after, out);
        }
    }
}

fn print_image(rows: &RowsEvent<'_>, image: &Image<'_>, out: &mut Vec<Line>) {
    let mut values = Vec::new();
    image.read_all(&mut values).unwrap();
    // What is read column by column must be the same.
    for (i, value) in values.iter().enumerate() {
        let mut one = Vec::new();
        image.read(&[i], &mut one).unwrap();
        assert_eq!(&one[..], std::slice::from_ref(value));
        assert_eq!(image.has(i), !value.is_absent());
    }
    let columns = rows.table.columns.iter().zip(&rows.table.details);
    for (i, (value, (column, detail))) in values.iter().zip(columns).enumerate() {
        let n = i + 1;
        match value {
            Value::Absent => {}
            Value::Float(v) => out.push(Line::Float(n, *v)),
            Value::Double(v) => out.push(Line::Double(n, *v)),
            Value::JsonDiff(_) => out.push(Line::Diff(n)),
            value => out.push(Line::Text(format!("###   @{n}={}", text(value, column, detail)))),
        }
    }
}

fn text(value: &Value<'_>, column: &Column, detail: &ColumnDetail) -> String {
    let digits = column.width as usize;
    match value {
        Value::Null => "NULL".into(),
        Value::Int(v) => signed(*v, detail.type_code),
        // mysqlbinlog has no zero year.
        Value::UInt(0) if column.kind == ColumnKind::Year => "1900".into(),
        Value::UInt(v) if column.kind == ColumnKind::Year => v.to_string(),
        Value::UInt(v) => signed(sign_extend(*v, detail.type_code), detail.type_code),
        Value::Decimal(v) => v.to_string(),
        Value::Bit(v) => format!("b'{v:0digits$b}'"),
        Value::Enum(v) => v.to_string(),
        Value::Set(v) => {
            let bytes = v.to_le_bytes();
            let bits: Vec<_> =
                bytes[..usize::from(detail.type_meta)].iter().map(|b| format!("{b:08b}")).collect();
            format!("b'{}'", bits.concat())
        }
        Value::Bytes(v) if column.kind == ColumnKind::FixedBinary => {
            assert_eq!(v.len(), digits, "BINARY is padded");
            let end = v.iter().rposition(|b| *b != 0).map_or(0, |i| i + 1);
            quoted(&v[..end])
        }
        Value::Bytes(v) => quoted(v),
        Value::Json(v) => {
            let text = json::to_text(v).unwrap();
            // A string that is the whole document is printed without its own quotes.
            let inner = if text.starts_with('"') { serde_json::from_str(&text).unwrap() } else { text };
            quoted(inner.as_bytes())
        }
        Value::Date { year, month, day } => format!("'{year:04}:{month:02}:{day:02}'"),
        Value::DateTime { year, month, day, hour, minute, second, micros } => {
            let fraction = fraction(*micros, digits);
            format!("'{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{fraction}'")
        }
        Value::Timestamp { seconds, micros } => format!("{seconds}{}", fraction(*micros, digits)),
        Value::Time { negative, hours, minute, second, micros } => {
            let sign = if *negative { "-" } else { "" };
            format!("'{sign}{hours:02}:{minute:02}:{second:02}{}'", fraction(*micros, digits))
        }
        other => panic!("{other:?}"),
    }
}

fn fraction(micros: u32, digits: usize) -> String {
    if digits == 0 { String::new() } else { format!(".{}", &format!("{micros:06}")[..digits]) }
}

fn bits(type_code: u8) -> u32 {
    match type_code {
        1 => 8,
        2 => 16,
        9 => 24,
        3 => 32,
        _ => 64,
    }
}

fn sign_extend(v: u64, type_code: u8) -> i64 {
    let unused = 64 - bits(type_code);
    (v << unused) as i64 >> unused
}

/// `mysqlbinlog` does not use the signedness: negative numbers are followed by the unsigned reading.
fn signed(v: i64, type_code: u8) -> String {
    let unused = 64 - bits(type_code);
    if v < 0 { format!("{v} ({})", (v as u64) << unused >> unused) } else { v.to_string() }
}

fn quoted(bytes: &[u8]) -> String {
    let mut out = vec![b'\''];
    for &b in bytes {
        match b {
            b'\'' => out.extend(b"\\'"),
            b'\\' => out.extend(b"\\\\"),
            8 => out.extend(b"\\b"),
            9 => out.extend(b"\\t"),
            10 => out.extend(b"\\n"),
            12 => out.extend(b"\\f"),
            13 => out.extend(b"\\r"),
            0..=31 => out.extend(format!("\\x{b:02x}").bytes()),
            _ => out.push(b),
        }
    }
    out.push(b'\'');
    String::from_utf8_lossy(&out).into_owned()
}

/// Compares with what `mysqlbinlog` printed; returns how many values were compared.
pub(crate) fn compare(ours: &[Line], theirs: &str) -> usize {
    let mut theirs = theirs.lines().filter(|line| line.starts_with("###")).peekable();
    let mut values = 0;
    for line in ours {
        let found = theirs.next().expect("mysqlbinlog printed fewer lines");
        values += usize::from(found.starts_with("###   @"));
        let number = |n: &usize| -> f64 {
            let value = found.strip_prefix(&format!("###   @{n}=")).unwrap_or_else(|| panic!("{found}"));
            value.trim().parse().unwrap()
        };
        match line {
            Line::Text(text) => assert_eq!(text, found),
            Line::Double(n, v) => assert_eq!(number(n).to_bits(), v.to_bits(), "{found}"),
            Line::Float(n, v) => {
                let error = (number(n) - f64::from(*v)).abs();
                assert!(error <= f64::from(*v).abs() * 1e-5, "{found}: {v}");
            }
            Line::Diff(n) => {
                // Without any difference, the column itself.
                let call = found.strip_prefix(&format!("###   @{n}=")).unwrap_or_else(|| panic!("{found}"));
                assert!(call.starts_with("JSON_") || call == format!("@{n}"), "{found}");
                while theirs.next_if(|line| line.starts_with("###      ")).is_some() {}
            }
        }
    }
    assert_eq!(theirs.next(), None, "mysqlbinlog printed more lines");
    values
}
