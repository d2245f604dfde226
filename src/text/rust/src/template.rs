//! Chat templates as transformers renders them, within limits.

use std::time::{Duration, Instant};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, UndefinedBehavior};
use serde_json::{json, Map, Value as Json};

use crate::abi::{answer, Failure, Reply, Slice, Status};
use crate::render_budget::{too_long, within, Budget};
use crate::strftime::Civil;
use crate::template_errors::told;
use crate::template_input::{alias_reasoning, from_json, parse, part_text};
use crate::template_namespace::EmptiedAtEnd;
use crate::template_program::Program;
use crate::{template_functions, template_operators};

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Limits {
    fuel: u64,
    output_bytes: u64,
    wall_ms: u64,
}

pub struct Template {
    env: Environment<'static>,
    code: Program,
    limits: Limits,
    takes_parts: bool,
    takes_strings: bool,
}

/// Rendering recurses in native code (macros, nested values): it has a stack of its own.
const STACK_BYTES: usize = 256 << 20;

impl Template {
    fn new(source: &str, limits: Limits) -> Result<Template, Failure> {
        let source = plain_tags(source)?;
        let (env, code) = on_own_stack(move || {
            let syntax = syntax()?;
            let code = Program::compile(source, syntax.clone()).map_err(|e| told(&e))?;
            let mut env = environment(syntax, limits);
            code.install_assignments(&mut env);
            Ok((env, code))
        })?;
        let mut template = Template { env, code, limits, takes_parts: false, takes_strings: true };
        template.probe_content();
        Ok(template)
    }

    /// Which shapes of `content` the template understands, found by rendering both: a template takes
    /// parts when a list of one text part reads as that text alone would.
    fn probe_content(&mut self) {
        const NEEDLE: &str = "sluice-content-probe";
        let conversation = |content: Json| {
            json!({
                "messages": [{"role": "user", "content": content}], "add_generation_prompt": false,
                "bos_token": "", "eos_token": "", "tools": null, "documents": null,
            })
        };
        let of_string = self.render_tree(conversation(json!(NEEDLE)), 0).unwrap_or_default();
        let part = json!([{"type": "text", "text": NEEDLE}]);
        let of_parts = self.render_tree(conversation(part), 0).unwrap_or_default();
        self.takes_strings = of_string.contains(NEEDLE) || !of_parts.contains(NEEDLE);
        self.takes_parts =
            of_parts.contains(NEEDLE) && (of_parts == of_string || !self.takes_strings);
    }

    /// # Safety
    /// The input's slices outlive the call.
    unsafe fn render(&self, input: &Input) -> Result<String, Failure> {
        let mut context = Map::new();
        for (what, slice) in
            [("special_tokens", input.special_tokens), ("chat_template_kwargs", input.variables)]
        {
            match parse(what, slice)? {
                Json::Object(members) => context.extend(members),
                Json::Null => {}
                _ => return Err(Failure::invalid(format!("{what} is not an object"))),
            }
        }
        for reserved in ["messages", "tools", "documents", "add_generation_prompt"] {
            if context.contains_key(reserved) {
                let message = format!("chat_template_kwargs may not set '{reserved}'");
                return Err(Failure::invalid(message));
            }
        }
        let mut messages = parse("messages", input.messages)?;
        let Some(list) = messages.as_array_mut() else {
            return Err(Failure::invalid("messages is not a list"));
        };
        for (i, message) in list.iter_mut().enumerate() {
            if !message.is_object() {
                return Err(Failure::invalid(format!("messages[{i}] is not an object")));
            }
            alias_reasoning(message);
            self.adapt_content(message)?;
        }
        context.insert("messages".into(), messages);
        context.insert("tools".into(), parse("tools", input.tools)?);
        context.insert("documents".into(), parse("documents", input.documents)?);
        context.insert("add_generation_prompt".into(), json!(input.add_generation_prompt != 0));
        self.render_tree(Json::Object(context), input.local_time_s)
    }

    fn render_tree(&self, context: Json, now: i64) -> Result<String, Failure> {
        let budget = Budget {
            deadline: Instant::now() + Duration::from_millis(self.limits.wall_ms),
            output_bytes: self.limits.output_bytes as usize,
        };
        on_own_stack(|| {
            let _emptied = EmptiedAtEnd;
            within(budget, || {
                let mut variables = vec![(
                    "strftime_now".to_string(),
                    Value::from_function(move |format: &str| {
                        Civil::from_seconds(now).format(format)
                    }),
                )];
                for (name, value) in context.as_object().into_iter().flatten() {
                    variables.push((name.clone(), from_json(value)));
                }
                let text =
                    self.code.run(&self.env, Value::from_pairs(variables)).map_err(|e| told(&e))?;
                if text.len() > budget.output_bytes {
                    return Err(told(&too_long()));
                }
                Ok(text)
            })
        })
    }

    /// Gives `content` the shape that the template understands.
    fn adapt_content(&self, message: &mut Json) -> Result<(), Failure> {
        let Some(content) = message.get_mut("content") else { return Ok(()) };
        match content {
            Json::Array(parts) if !self.takes_parts => {
                let texts: Result<Vec<&str>, Failure> = parts.iter().map(part_text).collect();
                *content = Json::String(texts?.join("\n"));
            }
            Json::String(text) if !self.takes_strings => {
                *content = json!([{"type": "text", "text": text.as_str()}]);
            }
            _ => {}
        }
        Ok(())
    }
}

fn syntax() -> Result<SyntaxConfig, Failure> {
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    syntax.map_err(|e| Failure::new(Status::Fault, e.to_string()))
}

fn environment(syntax: SyntaxConfig, limits: Limits) -> Environment<'static> {
    let mut env = Environment::new();
    env.set_syntax(syntax);
    env.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    env.set_undefined_behavior(UndefinedBehavior::Lenient);
    env.set_fuel(Some(limits.fuel));
    env.set_recursion_limit(200);
    template_functions::install(&mut env);
    template_operators::install(&mut env);
    env
}

/// `{% generation %}` marks what an assistant said, for training masks; to a reader it is a scope.
/// Tags that minijinja renders otherwise than Jinja2 are refused by name.
fn plain_tags(source: &str) -> Result<String, Failure> {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%") {
        let (before, tag) = rest.split_at(at + 2);
        out.push_str(before);
        let lead = tag.len() - tag.trim_start_matches(['-', '+']).trim_start().len();
        let word = &tag[lead..];
        let length = word.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(word.len());
        let replaced = match &word[..length] {
            "generation" => "with",
            "endgeneration" => "endwith",
            tag @ ("autoescape" | "do") => {
                let message = format!("chat template: the tag '{tag}' is not supported");
                return Err(Failure::new(Status::Unsupported, message));
            }
            other => other,
        };
        out.push_str(&tag[..lead]);
        out.push_str(replaced);
        rest = &word[length..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Runs `body` on a thread with a deep stack; its panics come back as this thread's.
fn on_own_stack<T: Send>(body: impl FnOnce() -> Result<T, Failure> + Send) -> Result<T, Failure> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || crate::abi::caught(body))
            .map_err(|e| Failure::new(Status::Fault, format!("no thread for a template: {e}")))?;
        thread
            .join()
            .unwrap_or_else(|_| Err(Failure::new(Status::Fault, "a template's thread died")))
    })
}

#[no_mangle]
pub unsafe extern "C" fn sluice_text_template_new(
    source: Slice,
    limits: Limits,
    out: *mut *mut Template,
    reply: *mut Reply,
) -> i32 {
    answer(reply, || {
        let template = Template::new(source.text("the chat template")?, limits)?;
        out.write(Box::into_raw(Box::new(template)));
        Ok(Vec::new())
    })
}

#[no_mangle]
pub unsafe extern "C" fn sluice_text_template_free(template: *mut Template) {
    if !template.is_null() {
        drop(Box::from_raw(template));
    }
}

#[no_mangle]
pub unsafe extern "C" fn sluice_text_template_takes_parts(template: *const Template) -> u8 {
    u8::from((*template).takes_parts)
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Input {
    messages: Slice,
    tools: Slice,
    documents: Slice,
    special_tokens: Slice,
    variables: Slice,
    local_time_s: i64,
    add_generation_prompt: u8,
}

#[no_mangle]
pub unsafe extern "C" fn sluice_text_template_render(
    template: *const Template,
    input: Input,
    reply: *mut Reply,
) -> i32 {
    answer(reply, || Ok((*template).render(&input)?.into_bytes()))
}
