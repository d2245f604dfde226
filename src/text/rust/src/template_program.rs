//! A compiled template whose operators, literals and assignments are this crate's own.
//!
//! The instructions of template_operators.rs take n values and leave one, as a call of a function with
//! n arguments does, so they are replaced one for one. No template can spell the functions' names.
//!
//! `set ns.x = value` becomes a call too, on the namespace of template_namespace.rs. The call leaves a
//! value that nothing takes: a statement's stack is not read again.

use std::collections::BTreeMap;

use minijinja::machinery::{self, CodeGenerator, Instruction, Instructions};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, Error};

use crate::template_namespace::assign;
use crate::template_operators::{ADD, CONCAT, EQUAL, LIST, MAP, TUPLE, UNEQUAL};

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
