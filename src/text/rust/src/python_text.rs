//! Values as Python writes them: str(), repr() and json.dumps(), each with a limit of bytes.

use std::fmt::Write;

use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind};

const MAX_DEPTH: usize = 128;

/// A string that refuses to grow past its limit.
pub struct Bounded {
    pub text: String,
    limit: usize,
    pushes: u32,
}

impl Bounded {
    pub fn new(limit: usize) -> Bounded {
        Bounded { text: String::new(), limit, pushes: 0 }
    }

    pub fn push(&mut self, piece: &str) -> Result<(), Error> {
        if self.text.len() + piece.len() > self.limit {
            return Err(too_long());
        }
        self.pushes += 1;
        if self.pushes % 4096 == 0 {
            crate::template_functions::check_time()?;
        }
        self.text.push_str(piece);
        Ok(())
    }
}

pub fn too_long() -> Error {
    Error::new(ErrorKind::WriteFailure, "output_bytes: the template writes more than it may")
}

fn too_deep() -> Error {
    Error::new(ErrorKind::InvalidOperation, "a value is nested too deeply to be written")
}

/// Python's repr of a float: the shortest digits that read back, an exponent below 1e-4 and from 1e16.
pub fn float_repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(rest) => ('-', rest),
            None => ('+', exponent),
        };
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    let mut text = format!("{value}");
    if !text.contains('.') {
        text.push_str(".0");
    }
    text
}

fn as_float(value: &Value) -> Option<f64> {
    if value.kind() != ValueKind::Number || value.is_integer() {
        return None;
    }
    f64::try_from(value.clone()).ok()
}

/// str(value), as `{{ value }}` prints it.
pub fn write_str(out: &mut Bounded, value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) => out.push(text),
        None if value.is_undefined() => Ok(()),
        None => write_repr(out, value, 0),
    }
}

fn write_repr(out: &mut Bounded, value: &Value, depth: usize) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(too_deep());
    }
    if let Some(text) = value.as_str() {
        return write_quoted(out, text);
    }
    if let Some(number) = as_float(value) {
        return out.push(&float_repr(number));
    }
    match value.kind() {
        ValueKind::Undefined => out.push("Undefined"),
        _ if is_dict(value) => {
            out.push("{")?;
            for (i, key) in value.try_iter()?.enumerate() {
                out.push(if i > 0 { ", " } else { "" })?;
                write_repr(out, &key, depth + 1)?;
                out.push(": ")?;
                write_repr(out, &value.get_item(&key)?, depth + 1)?;
            }
            out.push("}")
        }
        _ if is_list(value) => {
            let tuple = is_tuple(value);
            out.push(if tuple { "(" } else { "[" })?;
            for (i, item) in value.try_iter()?.enumerate() {
                out.push(if i > 0 { ", " } else { "" })?;
                write_repr(out, &item, depth + 1)?;
            }
            let single = tuple && value.len() == Some(1);
            out.push(match (tuple, single) {
                (true, true) => ",)",
                (true, false) => ")",
                (false, _) => "]",
            })
        }
        _ => out.push(&value.to_string()),
    }
}

/// Lists, tuples, and the lazy lists that operators make.
pub fn is_list(value: &Value) -> bool {
    match value.kind() {
        ValueKind::Seq => true,
        ValueKind::Iterable => value.len().is_some(),
        _ => false,
    }
}

pub fn is_tuple(value: &Value) -> bool {
    value.downcast_object_ref::<minijinja::value::Tuple>().is_some()
}

pub fn is_dict(value: &Value) -> bool {
    value.kind() == ValueKind::Map
}

/// Python quotes with ' unless the text has ' and no ".
fn write_quoted(out: &mut Bounded, text: &str) -> Result<(), Error> {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push(quote);
    for c in text.chars() {
        match c {
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c == quote => {
                quoted.push('\\');
                quoted.push(c);
            }
            c if is_unprintable(c) => {
                let code = c as u32;
                let _ = match code {
                    0..=0xFF => write!(quoted, "\\x{code:02x}"),
                    0x100..=0xFFFF => write!(quoted, "\\u{code:04x}"),
                    _ => write!(quoted, "\\U{code:08x}"),
                };
            }
            c => quoted.push(c),
        }
    }
    quoted.push(quote);
    out.push(&quoted)
}

/// The controls, separators, formats and private characters that Python's repr escapes.
fn is_unprintable(c: char) -> bool {
    matches!(c as u32,
        0..=0x1F | 0x7F..=0xA0 | 0xAD | 0x1680 | 0x2000..=0x200F | 0x2028..=0x202F
        | 0x205F..=0x206F | 0x3000 | 0xE000..=0xF8FF | 0xFEFF | 0xFFF9..=0xFFFB | 0xFFFE..=0xFFFF
        | 0xE0001..=0xE007F | 0xF0000..=0x10FFFF)
}

/// json.dumps's options, as transformers' `tojson` hands them on.
pub struct JsonStyle {
    pub ensure_ascii: bool,
    pub indent: Option<String>,
    pub item_separator: String,
    pub key_separator: String,
    pub sort_keys: bool,
}

pub fn write_json(
    out: &mut Bounded,
    value: &Value,
    style: &JsonStyle,
    depth: usize,
) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(too_deep());
    }
    if let Some(text) = value.as_str() {
        return write_json_string(out, text, style);
    }
    match value.kind() {
        ValueKind::None => out.push("null"),
        ValueKind::Bool => out.push(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number => out.push(&json_number(value)),
        _ if is_dict(value) => write_json_map(out, value, style, depth),
        _ if is_list(value) => {
            let items = value.try_iter()?.map(|item| (None, item));
            write_json_items(out, items, ["[", "]"], style, depth)
        }
        kind => Err(not_json(&format!("a value of kind {kind}"))),
    }
}

fn not_json(what: &str) -> Error {
    Error::new(ErrorKind::BadSerialization, format!("{what} cannot be written as JSON"))
}

fn json_number(value: &Value) -> String {
    match as_float(value) {
        Some(number) if number.is_nan() => "NaN".into(),
        Some(number) if number.is_infinite() => {
            if number > 0.0 {
                "Infinity".into()
            } else {
                "-Infinity".into()
            }
        }
        Some(number) => float_repr(number),
        None => value.to_string(),
    }
}

fn write_json_map(
    out: &mut Bounded,
    value: &Value,
    style: &JsonStyle,
    depth: usize,
) -> Result<(), Error> {
    let mut items = Vec::new();
    for key in value.try_iter()? {
        let name = match key.kind() {
            ValueKind::String => key.as_str().unwrap_or_default().to_string(),
            ValueKind::Bool => {
                if key.is_true() {
                    "true".into()
                } else {
                    "false".into()
                }
            }
            ValueKind::None => "null".into(),
            ValueKind::Number => json_number(&key),
            kind => return Err(not_json(&format!("a key of kind {kind}"))),
        };
        items.push((Some(name), value.get_item(&key)?));
    }
    if style.sort_keys {
        items.sort_by(|a, b| a.0.cmp(&b.0));
    }
    write_json_items(out, items.into_iter(), ["{", "}"], style, depth)
}

fn write_json_items(
    out: &mut Bounded,
    items: impl Iterator<Item = (Option<String>, Value)>,
    brackets: [&str; 2],
    style: &JsonStyle,
    depth: usize,
) -> Result<(), Error> {
    let line = |out: &mut Bounded, depth: usize| match &style.indent {
        Some(indent) => {
            out.push("\n")?;
            (0..depth).try_for_each(|_| out.push(indent))
        }
        None => Ok(()),
    };
    out.push(brackets[0])?;
    let mut count = 0;
    for (key, item) in items {
        out.push(if count > 0 { &style.item_separator } else { "" })?;
        line(out, depth + 1)?;
        if let Some(key) = key {
            write_json_string(out, &key, style)?;
            out.push(&style.key_separator)?;
        }
        write_json(out, &item, style, depth + 1)?;
        count += 1;
    }
    if count > 0 {
        line(out, depth)?;
    }
    out.push(brackets[1])
}

fn write_json_string(out: &mut Bounded, text: &str, style: &JsonStyle) -> Result<(), Error> {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            c if (c as u32) < 0x20 || (style.ensure_ascii && c as u32 > 0x7E) => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(quoted, "\\u{unit:04x}");
                }
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    out.push(&quoted)
}
