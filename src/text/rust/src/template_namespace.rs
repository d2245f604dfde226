//! `namespace()`, as one that is not found inside itself and that does not outlive its rendering.
//!
//! minijinja's own may hold itself, and then printing or comparing it never ends. This one is refused
//! where a value would show it; a macro or dict() may still keep it out of sight.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};

use minijinja::value::{Kwargs, Object, ObjectRepr, Value};
use minijinja::{Error, ErrorKind};

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

thread_local! {
    static MADE: RefCell<Vec<Weak<Namespace>>> = const { RefCell::new(Vec::new()) };
}

/// Empties the namespaces that its thread makes, when dropped: one that holds itself would never be
/// freed.
pub struct EmptiedAtEnd;

impl Drop for EmptiedAtEnd {
    fn drop(&mut self) {
        for made in MADE.take() {
            let values = made.upgrade().and_then(|namespace| {
                namespace.values.lock().ok().map(|mut values| std::mem::take(&mut *values))
            });
            drop(values);
        }
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

/// `namespace.name = value`. Gives a marker that nothing takes, so that what should find it by
/// mistake is refused.
pub fn assign(name: &str, value: &Value, target: &Value) -> Result<Value, Error> {
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
pub fn namespace(first: Option<Value>, named: Kwargs) -> Result<Value, Error> {
    let made = Value::from_object(Namespace::default());
    if let Some(namespace) = made.downcast_object::<Namespace>() {
        MADE.with_borrow_mut(|all| all.push(Arc::downgrade(&namespace)));
    }
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
