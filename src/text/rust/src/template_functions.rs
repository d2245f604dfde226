//! What transformers adds to Jinja, and where minijinja's builtins differ from Jinja2's.

use std::cell::Cell;
use std::time::Instant;

use minijinja::value::{from_args, Kwargs, Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State};

use crate::python_text::{write_json, write_str, Bounded, JsonStyle};

/// What one rendering has left; every callback looks at it.
#[derive(Clone, Copy)]
pub struct Budget {
    pub deadline: Instant,
    pub output_bytes: usize,
}

thread_local! {
    static BUDGET: Cell<Option<Budget>> = const { Cell::new(None) };
}

pub const OUT_OF_TIME: &str = "wall_ms: the template ran out of its time";

/// Runs `body` with `budget` in force on this thread.
pub fn within<T>(budget: Budget, body: impl FnOnce() -> T) -> T {
    let before = BUDGET.replace(Some(budget));
    let result = body();
    BUDGET.set(before);
    result
}

pub fn check_time() -> Result<usize, Error> {
    match BUDGET.get() {
        Some(budget) if Instant::now() >= budget.deadline => {
            Err(Error::new(ErrorKind::InvalidOperation, OUT_OF_TIME))
        }
        Some(budget) => Ok(budget.output_bytes),
        None => Ok(1 << 20),
    }
}

pub fn install(env: &mut Environment<'static>) {
    env.set_formatter(|out, _state, value| {
        let mut text = Bounded::new(check_time()?);
        write_str(&mut text, value)?;
        out.write_str(&text.text).map_err(|_| crate::python_text::too_long())
    });
    env.add_function("raise_exception", |message: Value| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message.to_string()).with_source(Raised))
    });
    env.add_filter("tojson", tojson);
    env.add_filter("string", |value: &Value| -> Result<String, Error> {
        let mut text = Bounded::new(check_time()?);
        write_str(&mut text, value)?;
        Ok(text.text)
    });
    env.add_filter("int", |value: &Value, default: Option<i64>| {
        to_number(value).map_or(default.unwrap_or(0), |number| number as i64)
    });
    env.add_filter("float", |value: &Value, default: Option<f64>| {
        to_number(value).unwrap_or(default.unwrap_or(0.0))
    });
    env.add_function("cycler", minijinja_contrib::globals::cycler);
    env.add_function("joiner", minijinja_contrib::globals::joiner);
    // These render otherwise than Jinja2's, so a template that calls them is refused.
    for name in ["pprint", "attr"] {
        env.remove_filter(name);
    }
    env.remove_test("sameas");
    env.add_test("sequence", |value: &Value| {
        matches!(value.kind(), ValueKind::Seq | ValueKind::String | ValueKind::Map)
            || value.is_undefined()
    });
    env.set_unknown_method_callback(method);
    crate::template_operators::install(env);
}

/// What Jinja's int and float read: a number, or text that spells one.
fn to_number(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some(text) => text.trim_matches(is_space).replace('_', "").parse().ok(),
        None => f64::try_from(value.clone()).ok(),
    }
}

/// Marks an error as the template's own, made with raise_exception.
#[derive(Debug)]
pub struct Raised;

impl std::fmt::Display for Raised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("raised by the template")
    }
}

impl std::error::Error for Raised {}

/// tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False)
fn tojson(
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

/// Python's white space: str.isspace.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// The methods of Python's str, list and dict that templates call.
fn method(state: &mut State, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    check_time()?;
    if let Some(text) = value.as_str() {
        state.consume_fuel(text.len() as u64 / 64)?;
        if let Some(result) = string_method(text, name, args)? {
            return Ok(result);
        }
        match name {
            "replace" => charge_replacement(state, text, args)?,
            "format" => charge_format(state, text, args)?,
            "join" => return join(text, args).map(Value::from),
            _ => {}
        }
    }
    match (value.kind(), name) {
        (ValueKind::Map | ValueKind::Seq, "copy") => {
            let () = from_args(args)?;
            Ok(value.clone())
        }
        (ValueKind::Seq, "index") => {
            let (what,): (&Value,) = from_args(args)?;
            state.consume_fuel(value.len().unwrap_or(0) as u64)?;
            let found = value.try_iter()?.position(|item| item == *what);
            found.map(Value::from).ok_or_else(|| {
                Error::new(ErrorKind::InvalidOperation, "the value is not in the list")
            })
        }
        _ => minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args),
    }
}

/// Pays for what a replacement may make before it is made.
fn charge_replacement(state: &State, text: &str, args: &[Value]) -> Result<(), Error> {
    let (Some(old), Some(new)) =
        (args.first().and_then(Value::as_str), args.get(1).and_then(Value::as_str))
    else {
        return Ok(());
    };
    let places = (text.len() + 1) as u64 / (old.len().max(1)) as u64;
    let found = if old.is_empty() { places } else { text.matches(old).count() as u64 };
    let made = found.saturating_mul(new.len() as u64) / 64;
    match state.fuel_levels() {
        Some((_, left)) if made >= left => Err(Error::from(ErrorKind::OutOfFuel)),
        _ => Ok(()),
    }
}

/// str.format may name an argument many times and ask for any width.
fn charge_format(state: &State, text: &str, args: &[Value]) -> Result<(), Error> {
    let digits = text.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or(0);
    if digits > 4 {
        return Err(Error::new(ErrorKind::InvalidOperation, "a format width of over 9999"));
    }
    let mut longest = 9999;
    for arg in args {
        let mut told = Bounded::new(check_time()?);
        write_str(&mut told, arg)?;
        longest = longest.max(told.text.len());
    }
    let fields = text.matches('{').count();
    match state.fuel_levels() {
        Some((_, left)) if fields.saturating_mul(longest) as u64 / 64 >= left => {
            Err(Error::from(ErrorKind::OutOfFuel))
        }
        _ => Ok(()),
    }
}

fn join(separator: &str, args: &[Value]) -> Result<String, Error> {
    let (items,): (&Value,) = from_args(args)?;
    let mut text = Bounded::new(check_time()?);
    for (i, item) in items.try_iter()?.enumerate() {
        let Some(item) = item.as_str() else {
            let message = format!("join takes strings, item {i} is a {}", item.kind());
            return Err(Error::new(ErrorKind::InvalidOperation, message));
        };
        text.push(if i > 0 { separator } else { "" })?;
        text.push(item)?;
    }
    Ok(text.text)
}

/// The methods that pycompat leaves out or does differently; None for the others.
fn string_method(text: &str, name: &str, args: &[Value]) -> Result<Option<Value>, Error> {
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
        return Err(crate::python_text::too_long());
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
