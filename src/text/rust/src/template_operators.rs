//! The operators + ~ == != and the literals of a template: Python's, and paid for.
//!
//! minijinja's own + joins lists lazily, which its fuel does not see: sixty doublings of a list would
//! fill the memory. Its == walks [x, x] nested sixty times, which is for ever.

use minijinja::value::{Rest, Tuple, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State};

use crate::python_text::{is_dict, is_list, is_tuple, write_str};
use crate::render_budget::{afford, check_time, Bounded};
use crate::template_namespace::{namespace, Namespace};

pub const ADD: &str = "+";
pub const CONCAT: &str = "~";
pub const EQUAL: &str = "==";
pub const UNEQUAL: &str = "!=";
pub const LIST: &str = "[";
pub const TUPLE: &str = "(";
pub const MAP: &str = "{";

/// Of a list, tuple or map that a template writes.
const MAX_NESTING: usize = 64;
const MAX_NODES: usize = 100_000;

pub fn install(env: &mut Environment<'static>) {
    env.add_function(ADD, add);
    env.add_function(CONCAT, concat);
    env.add_function(EQUAL, |state: &State, a: &Value, b: &Value| equal(state, a, b, 0));
    env.add_function(UNEQUAL, |state: &State, a: &Value, b: &Value| {
        equal(state, a, b, 0).map(|equal| !equal)
    });
    env.add_function("namespace", namespace);
    env.add_function(LIST, |state: &State, items: Rest<Value>| {
        weigh(state, &items)?;
        Ok(Value::from(items.0))
    });
    env.add_function(TUPLE, |state: &State, items: Rest<Value>| {
        weigh(state, &items)?;
        Ok(Value::from_object(Tuple::from(items.0)))
    });
    env.add_function(MAP, |state: &State, items: Rest<Value>| {
        weigh(state, &items)?;
        Ok(Value::from_pairs(items.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone()))))
    });
}

/// Pays for a new container by all that it holds, and refuses one that is nested too deeply or that
/// names the same values again and again.
fn weigh(state: &State, items: &[Value]) -> Result<(), Error> {
    let mut nodes = 0;
    for item in items {
        count_nodes(item, 1, &mut nodes)?;
    }
    state.consume_fuel(nodes as u64 / 8)
}

fn count_nodes(value: &Value, depth: usize, nodes: &mut usize) -> Result<(), Error> {
    *nodes += 1;
    if value.downcast_object_ref::<Namespace>().is_some() {
        let message = "a namespace cannot be held by another value";
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    if depth > MAX_NESTING || *nodes > MAX_NODES {
        let message = "a value is nested too deeply or holds too much";
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    if is_list(value) {
        value.try_iter()?.try_for_each(|item| count_nodes(&item, depth + 1, nodes))
    } else if is_dict(value) {
        value.try_iter()?.try_for_each(|key| count_nodes(&value.get_item(&key)?, depth + 1, nodes))
    } else {
        Ok(())
    }
}

/// Python's ==, paid for by the value.
fn equal(state: &State, a: &Value, b: &Value, depth: usize) -> Result<bool, Error> {
    if depth > 2 * MAX_NESTING {
        return Err(Error::new(ErrorKind::InvalidOperation, "values are nested too deeply"));
    }
    state.consume_fuel(1)?;
    if is_list(a) && is_list(b) {
        if is_tuple(a) != is_tuple(b) || a.len() != b.len() {
            return Ok(false);
        }
        for (left, right) in a.try_iter()?.zip(b.try_iter()?) {
            if !equal(state, &left, &right, depth + 1)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    if is_dict(a) && is_dict(b) {
        if a.len() != b.len() {
            return Ok(false);
        }
        for key in a.try_iter()? {
            let right = b.get_item(&key)?;
            if right.is_undefined() || !equal(state, &a.get_item(&key)?, &right, depth + 1)? {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    Ok(a == b)
}

fn refused(left: &Value, right: &Value) -> Error {
    let message = format!("unsupported operand types for +: {} and {}", left.kind(), right.kind());
    Error::new(ErrorKind::InvalidOperation, message)
}

fn add(state: &State, left: &Value, right: &Value) -> Result<Value, Error> {
    check_time()?;
    if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
        afford(state, (a.len() + b.len()) / 64)?;
        return Ok(Value::from([a, b].concat()));
    }
    if is_list(left) && is_list(right) {
        if is_tuple(left) != is_tuple(right) {
            return Err(refused(left, right));
        }
        let count = left.len().unwrap_or(0).saturating_add(right.len().unwrap_or(0));
        state.consume_fuel(count as u64 / 4)?;
        let items: Vec<Value> = left.try_iter()?.chain(right.try_iter()?).collect();
        return Ok(match is_tuple(left) {
            true => Value::from_object(Tuple::from(items)),
            false => Value::from(items),
        });
    }
    let numeric = |value: &Value| matches!(value.kind(), ValueKind::Number | ValueKind::Bool);
    if !numeric(left) || !numeric(right) {
        return Err(refused(left, right));
    }
    match (i128::try_from(left.clone()), i128::try_from(right.clone())) {
        (Ok(a), Ok(b)) if whole(left) && whole(right) => match a.checked_add(b) {
            Some(sum) => Ok(i64::try_from(sum).map_or_else(|_| Value::from(sum), Value::from)),
            None => Err(Error::new(ErrorKind::InvalidOperation, "the sum is too large")),
        },
        _ => Ok(Value::from(f64::try_from(left.clone())? + f64::try_from(right.clone())?)),
    }
}

fn whole(value: &Value) -> bool {
    value.kind() == ValueKind::Bool || value.is_integer()
}

fn concat(state: &State, left: &Value, right: &Value) -> Result<String, Error> {
    let left_fuel = state.fuel_levels().map_or(u64::MAX, |(_, left)| left);
    let limit = usize::try_from(left_fuel.saturating_mul(64)).unwrap_or(usize::MAX);
    let mut text = Bounded::new(check_time()?.max(1 << 20).min(limit));
    write_str(&mut text, left)?;
    write_str(&mut text, right)?;
    Ok(text.text)
}
