//! The methods of Python's str that minijinja's pycompat leaves out or does differently.

use minijinja::value::{from_args, Kwargs, Value};
use minijinja::{Error, ErrorKind};

use crate::render_budget::{check_time, too_long};

/// Python's white space: str.isspace.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// `text.name(args)`, or None for a method that is not here.
pub fn string_method(text: &str, name: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match name {
        "strip" | "lstrip" | "rstrip" => {
            let (chars,): (Option<&str>,) = from_args(args)?;
            let drop = |c: char| chars.map_or_else(|| is_space(c), |set| set.contains(c));
            Value::from(match name {
                "strip" => text.trim_matches(drop),
                "lstrip" => text.trim_start_matches(drop),
                _ => text.trim_end_matches(drop),
            })
        }
        "split" | "rsplit" => {
            let (separator, most, kwargs): (Option<Value>, Option<i64>, Kwargs) = from_args(args)?;
            let separator = match separator {
                Some(separator) => Some(separator),
                None => kwargs.get("sep")?,
            };
            let most = match most {
                Some(most) => most,
                None => kwargs.get::<Option<i64>>("maxsplit")?.unwrap_or(-1),
            };
            kwargs.assert_all_used()?;
            let separator = separator.filter(|value| !value.is_none());
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            Value::from(match separator.as_ref().map(|value| value.as_str()) {
                Some(Some("")) | Some(None) => {
                    return Err(Error::new(ErrorKind::InvalidOperation, "empty separator"));
                }
                Some(Some(separator)) => split_by(text, separator, most, name == "rsplit"),
                None => split_spaces(text, most, name == "rsplit"),
            })
        }
        "partition" | "rpartition" => {
            let (separator,): (&str,) = from_args(args)?;
            let found = if name == "partition" {
                text.split_once(separator)
            } else {
                text.rsplit_once(separator)
            };
            let parts = match found {
                Some((before, after)) => [before, separator, after],
                None if name == "partition" => [text, "", ""],
                None => ["", "", text],
            };
            Value::from_object(minijinja::value::Tuple::from(parts.map(Value::from)))
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            Value::from(text.strip_prefix(prefix).unwrap_or(text))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            Value::from(text.strip_suffix(suffix).unwrap_or(text))
        }
        "title" => {
            let () = from_args(args)?;
            Value::from(title(text))
        }
        "swapcase" => {
            let () = from_args(args)?;
            let swap = |c: char| -> String {
                if c.is_uppercase() {
                    c.to_lowercase().collect()
                } else {
                    c.to_uppercase().collect()
                }
            };
            Value::from(text.chars().map(swap).collect::<String>())
        }
        "casefold" => {
            let () = from_args(args)?;
            Value::from(text.to_lowercase().replace('ß', "ss"))
        }
        "zfill" | "ljust" | "rjust" | "center" => justify(text, name, args)?,
        "splitlines" => {
            let (keep,): (Option<bool>,) = from_args(args)?;
            Value::from(split_lines(text, keep.unwrap_or(false)))
        }
        "index" => {
            let (what,): (&str,) = from_args(args)?;
            let Some(at) = text.find(what) else {
                return Err(Error::new(ErrorKind::InvalidOperation, "substring not found"));
            };
            Value::from(text[..at].chars().count())
        }
        _ => return Ok(None),
    }))
}

fn split_by(text: &str, separator: &str, most: usize, from_right: bool) -> Vec<Value> {
    let pieces = most.saturating_add(1);
    if from_right {
        let mut parts: Vec<Value> = text.rsplitn(pieces, separator).map(Value::from).collect();
        parts.reverse();
        parts
    } else {
        text.splitn(pieces, separator).map(Value::from).collect()
    }
}

/// str.split() without a separator: at runs of white space, and what is left after the last split
/// keeps its own at the far end.
fn split_spaces(text: &str, most: usize, from_right: bool) -> Vec<Value> {
    let mut parts = Vec::new();
    let near = |rest: &str, right: bool| -> (usize, usize) {
        let kept = if right {
            rest.trim_end_matches(is_space).len()
        } else {
            rest.len() - rest.trim_start_matches(is_space).len()
        };
        if right {
            (0, kept)
        } else {
            (kept, rest.len())
        }
    };
    let mut rest = text;
    loop {
        let (from, to) = near(rest, from_right);
        rest = &rest[from..to];
        if rest.is_empty() {
            break;
        }
        let cut = if from_right { rest.rfind(is_space) } else { rest.find(is_space) };
        let Some(at) = cut.filter(|_| parts.len() < most) else {
            parts.push(Value::from(rest));
            break;
        };
        if from_right {
            let width = rest[at..].chars().next().map_or(1, char::len_utf8);
            parts.push(Value::from(&rest[at + width..]));
            rest = &rest[..at];
        } else {
            parts.push(Value::from(&rest[..at]));
            rest = &rest[at..];
        }
    }
    if from_right {
        parts.reverse();
    }
    parts
}

fn split_lines(text: &str, keep_ends: bool) -> Vec<Value> {
    let is_end = |c: char| {
        matches!(
            c,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'
                ..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(is_end) {
        let mut end = at + rest[at..].chars().next().map_or(0, char::len_utf8);
        if rest[at..].starts_with("\r\n") {
            end = at + 2;
        }
        lines.push(Value::from(&rest[..if keep_ends { end } else { at }]));
        rest = &rest[end..];
    }
    if !rest.is_empty() {
        lines.push(Value::from(rest));
    }
    lines
}

/// Python's title: a letter after anything that is no letter is upper case, the others lower.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_alphabetic();
    }
    out
}

fn justify(text: &str, name: &str, args: &[Value]) -> Result<Value, Error> {
    let (width, fill): (i64, Option<char>) = from_args(args)?;
    let limit = check_time()?;
    if width > limit as i64 {
        return Err(too_long());
    }
    let missing = (width.max(0) as usize).saturating_sub(text.chars().count());
    let pad =
        |count: usize| -> String { std::iter::repeat_n(fill.unwrap_or(' '), count).collect() };
    Ok(Value::from(match name {
        "ljust" => format!("{text}{}", pad(missing)),
        "rjust" => format!("{}{text}", pad(missing)),
        "center" => {
            let left = missing / 2 + (missing & width as usize & 1);
            format!("{}{text}{}", pad(left), pad(missing - left))
        }
        _ => {
            let sign = usize::from(text.starts_with(['+', '-']));
            format!("{}{}{}", &text[..sign], "0".repeat(missing), &text[sign..])
        }
    }))
}
