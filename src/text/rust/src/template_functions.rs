//! What transformers adds to Jinja, and where minijinja's builtins differ from Jinja2's.

use minijinja::value::{from_args, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State};

use crate::python_json::tojson;
use crate::python_str_methods::{is_space, string_method};
use crate::python_text::write_str;
use crate::render_budget::{check_time, too_long, Bounded};
use crate::template_errors::Raised;

pub fn install(env: &mut Environment<'static>) {
    env.set_formatter(|out, _state, value| {
        let mut text = Bounded::new(check_time()?);
        write_str(&mut text, value)?;
        out.write_str(&text.text).map_err(|_| too_long())
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
}

/// What Jinja's int and float read: a number, or text that spells one.
fn to_number(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some(text) => text.trim_matches(is_space).replace('_', "").parse().ok(),
        None => f64::try_from(value.clone()).ok(),
    }
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
