//! A compiled template whose + ~ == != and literals are this file's: Python's, and paid for.
//!
//! minijinja's own + joins lists lazily, which its fuel does not see: sixty doublings of a list would
//! fill the memory. Its == walks [x, x] nested sixty times, which is for ever. These instructions take
//! n values and leave one, as a call of a function with n arguments does, so they are replaced one
//! for one. No template can spell the functions' names.
//!
//! `set ns.x = value` becomes a call too, on this file's own namespace: minijinja's may hold itself, and
//! then printing or comparing it never ends. The call leaves a value that nothing takes (a statement's
//! stack is not read again), a marker, so that what should find it there by mistake is refused.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use minijinja::machinery::{self, CodeGenerator, Instruction, Instructions};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Object, ObjectRepr, Rest, Tuple, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State};

use crate::python_text::{is_dict, is_list, is_tuple, write_str, Bounded};
use crate::template_functions::check_time;

const ADD: &str = "+";
const CONCAT: &str = "~";
const EQUAL: &str = "==";
const UNEQUAL: &str = "!=";
const LIST: &str = "[";
const TUPLE: &str = "(";
const MAP: &str = "{";

/// Of a list, tuple or map that a template writes.
const MAX_NESTING: usize = 64;
const MAX_NODES: usize = 100_000;

pub struct Program {
    // Dropped before the source that they borrow.
    main: Instructions<'static>,
    blocks: BTreeMap<&'static str, Instructions<'static>>,
    _source: Box<str>,
    /// The attributes that the template sets on namespaces, and the functions that set them.
    attributes: BTreeMap<String, Box<str>>,
}

impl Program {
    pub fn compile(source: String, syntax: SyntaxConfig) -> Result<Program, Error> {
        const NAME: &str = "chat_template";
        let source = source.into_boxed_str();
        // SAFETY: the text lies on the heap and moves no more; `main` and `blocks` never leave this
        // struct with the longer lifetime and are dropped first.
        let text: &'static str = unsafe { &*(&*source as *const str) };
        let tree = machinery::parse(text, NAME, syntax)?;
        let mut generator = CodeGenerator::new(NAME, text);
        generator.compile_stmt(&tree);
        let (mut main, mut blocks) = generator.finish();
        let mut attributes = BTreeMap::new();
        for code in std::iter::once(&mut main).chain(blocks.values_mut()) {
            replace_operators(code, &mut attributes);
        }
        Ok(Program { main, blocks, _source: source, attributes })
    }

    /// Gives `env` the functions that this program's assignments call.
    pub fn install_assignments(&self, env: &mut Environment<'static>) {
        for (attribute, setter) in &self.attributes {
            let attribute = attribute.clone();
            let set = move |value: &Value, target: &Value| assign(&attribute, value, target);
            env.add_function(setter.to_string(), set);
        }
    }

    pub fn run(&self, env: &Environment<'static>, variables: Value) -> Result<String, Error> {
        let mut text = String::new();
        let mut out = machinery::make_string_output(&mut text);
        machinery::eval(env, &self.main, variables, &self.blocks, &mut out, AutoEscape::None)?;
        drop(out);
        Ok(text)
    }
}

fn replace_operators(
    code: &mut Instructions<'static>,
    attributes: &mut BTreeMap<String, Box<str>>,
) {
    let mut at = 0;
    while let Some(instruction) = code.get_mut(at) {
        if let Instruction::SetAttr(attribute) = instruction {
            let name = attributes
                .entry(attribute.to_string())
                .or_insert_with(|| format!(".{attribute}=").into_boxed_str());
            // SAFETY: as for the source; `attributes` ends up in the same Program.
            let name: &'static str = unsafe { &*(&**name as *const str) };
            *instruction = Instruction::CallFunction(name, Some(2));
        }
        let call = match instruction {
            Instruction::Add => Some((ADD, 2)),
            Instruction::StringConcat => Some((CONCAT, 2)),
            Instruction::Eq => Some((EQUAL, 2)),
            Instruction::Ne => Some((UNEQUAL, 2)),
            Instruction::BuildList(Some(count)) => Some((LIST, *count)),
            Instruction::BuildTuple(Some(count)) => Some((TUPLE, *count)),
            Instruction::BuildMap(pairs) => Some((MAP, *pairs * 2)),
            _ => None,
        };
        if let Some((name, count)) = call {
            // A literal of more values than a call can take is as long as its source, and stays.
            if let Ok(count) = u16::try_from(count) {
                *instruction = Instruction::CallFunction(name, Some(count));
            }
        }
        at += 1;
    }
}

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

/// What `namespace()` makes: names that a template may set again, from inside a loop too. It is no
/// dict, so that nothing walks into it.
#[derive(Debug, Default)]
pub struct Namespace {
    values: Mutex<BTreeMap<String, Value>>,
}

impl Object for Namespace {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.values.lock().ok()?.get(key.as_str()?).cloned()
    }

    fn render(self: &Arc<Self>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<Namespace>")
    }
}

/// What an assignment leaves behind.
#[derive(Debug)]
struct Nothing;

impl Object for Nothing {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

fn assign(name: &str, value: &Value, target: &Value) -> Result<Value, Error> {
    let refused = |message: &str| Err(Error::new(ErrorKind::InvalidOperation, message.to_string()));
    let Some(namespace) = target.downcast_object_ref::<Namespace>() else {
        return refused("can only assign to the attributes of a namespace");
    };
    if name.starts_with('_') {
        return refused("a namespace takes no name that begins with an underscore");
    }
    if value.downcast_object_ref::<Nothing>().is_some() {
        return refused("attributes cannot be set several at once");
    }
    if value.downcast_object_ref::<Namespace>().is_some() {
        // It might keep itself alive for ever.
        return refused("a namespace cannot be held by another one");
    }
    if let Ok(mut values) = namespace.values.lock() {
        values.insert(name.to_string(), value.clone());
    }
    Ok(Value::from_object(Nothing))
}

/// namespace(a=1), namespace({'a': 1})
fn namespace(first: Option<Value>, named: Kwargs) -> Result<Value, Error> {
    let made = Value::from_object(Namespace::default());
    if let Some(dict) = first {
        for key in dict.try_iter()? {
            assign(key.as_str().unwrap_or("_"), &dict.get_item(&key)?, &made)?;
        }
    }
    for name in named.args().map(str::to_string).collect::<Vec<_>>() {
        assign(&name, &named.get::<Value>(&name)?, &made)?;
    }
    Ok(made)
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

/// Fails unless `fuel` is left; what a function returns is charged by minijinja itself.
fn afford(state: &State, fuel: usize) -> Result<(), Error> {
    match state.fuel_levels() {
        Some((_, left)) if fuel as u64 >= left => Err(Error::from(ErrorKind::OutOfFuel)),
        _ => Ok(()),
    }
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
