//! A conversation in JSON, as what a template reads.

use minijinja::value::Value;
use serde_json::{Map, Value as Json};

use crate::abi::{Failure, Slice, Status};

/// # Safety
/// The slice outlives the call.
pub unsafe fn parse(what: &str, slice: Slice) -> Result<Json, Failure> {
    let bytes = slice.bytes();
    if bytes.is_empty() {
        return Ok(Json::Null);
    }
    serde_json::from_slice(bytes).map_err(|e| Failure::invalid(format!("{what} is not JSON: {e}")))
}

pub fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Value::from(value),
            (None, Some(value)) => Value::from(value),
            (None, None) => Value::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => Value::from(items.iter().map(from_json).collect::<Vec<_>>()),
        Json::Object(members) => {
            Value::from_pairs(members.iter().map(|(name, value)| (name.as_str(), from_json(value))))
        }
    }
}

/// The text of a content part; a part that is none is refused by name.
pub fn part_text(part: &Json) -> Result<&str, Failure> {
    let kind = part["type"].as_str().unwrap_or("none");
    part["text"].as_str().filter(|_| kind == "text").ok_or_else(|| {
        let message =
            format!("a content part of type '{kind}': this chat template takes text only");
        Failure::new(Status::Unsupported, message)
    })
}

/// transformers fills `reasoning_content` from its older names, and `thinking` for templates that
/// read that.
pub fn alias_reasoning(message: &mut Json) {
    let Some(members) = message.as_object_mut() else { return };
    let names = ["reasoning_content", "thinking", "reasoning"];
    let found = names.iter().find_map(|name| members.get(*name).filter(|value| !value.is_null()));
    if let Some(reasoning) = found.cloned() {
        let mut aliased = Map::new();
        aliased.insert("thinking".to_string(), reasoning.clone());
        aliased.append(members);
        aliased.insert("reasoning_content".to_string(), reasoning);
        *members = aliased;
    }
}
