//! Values as Python's json.dumps writes them, and the filter `tojson`.

use std::fmt::Write;

use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{Error, ErrorKind, State};

use crate::python_text::{as_float, float_repr, is_dict, is_list, too_deep, MAX_DEPTH};
use crate::render_budget::{check_time, Bounded};

/// tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False)
pub fn tojson(
    state: &State,
    value: &Value,
    args: Rest<Value>,
    kwargs: Kwargs,
) -> Result<String, Error> {
    let option = |position: usize, name: &str| -> Result<Value, Error> {
        match args.get(position) {
            Some(value) => Ok(value.clone()),
            None => Ok(kwargs.get::<Option<Value>>(name)?.unwrap_or(Value::from(()))),
        }
    };
    let ensure_ascii = option(0, "ensure_ascii")?;
    let indent = option(1, "indent")?;
    let separators = option(2, "separators")?;
    let sort_keys = option(3, "sort_keys")?;
    kwargs.assert_all_used()?;
    let indent = match indent.kind() {
        ValueKind::None => None,
        ValueKind::String => indent.as_str().map(str::to_string),
        _ => Some(" ".repeat(i64::try_from(indent)?.clamp(0, 64) as usize)),
    };
    let [item_separator, key_separator] = if separators.is_none() {
        [if indent.is_some() { "," } else { ", " }.to_string(), ": ".to_string()]
    } else {
        let part = |i: usize| separators.get_item_by_index(i).map(|part| part.to_string());
        [part(0)?, part(1)?]
    };
    let style = JsonStyle {
        ensure_ascii: ensure_ascii.is_true(),
        indent,
        item_separator,
        key_separator,
        sort_keys: sort_keys.is_true(),
    };
    let mut text = Bounded::new(check_time()?);
    write_json(&mut text, value, &style, 0)?;
    state.consume_fuel(text.text.len() as u64 / 16)?;
    Ok(text.text)
}

/// json.dumps's options, as transformers' `tojson` hands them on.
struct JsonStyle {
    ensure_ascii: bool,
    indent: Option<String>,
    item_separator: String,
    key_separator: String,
    sort_keys: bool,
}

fn write_json(
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
