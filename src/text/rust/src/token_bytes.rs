//! Which bytes a token stands for, read off the decoder that tokenizer.json declares.

use serde_json::Value;

#[derive(Clone, Default, Debug)]
pub struct TokenBytes {
    byte_level: bool,
    byte_fallback: bool,
    /// Pairs of literal text and what it is decoded to: "▁" and " ", "</w>" and " ".
    replacements: Vec<(String, String)>,
}

impl TokenBytes {
    /// `decoder` is the "decoder" member of tokenizer.json.
    pub fn from_decoder(decoder: &Value) -> TokenBytes {
        let mut rules = TokenBytes::default();
        rules.read(decoder);
        rules
    }

    fn read(&mut self, decoder: &Value) {
        let text = |name: &str| decoder[name].as_str().unwrap_or_default().to_string();
        match decoder["type"].as_str().unwrap_or_default() {
            "Sequence" => {
                for inner in decoder["decoders"].as_array().into_iter().flatten() {
                    self.read(inner);
                }
            }
            "ByteLevel" => self.byte_level = true,
            "ByteFallback" => self.byte_fallback = true,
            "Metaspace" => self.replacements.push((text("replacement"), " ".into())),
            "Replace" => {
                if let Some(pattern) = decoder["pattern"]["String"].as_str() {
                    self.replacements.push((pattern.into(), text("content")));
                }
            }
            "BPEDecoder" => self.replacements.push((text("suffix"), " ".into())),
            _ => {}
        }
    }

    pub fn of(&self, token: &str) -> Vec<u8> {
        if self.byte_level {
            let bytes: Option<Vec<u8>> = token.chars().map(byte_of_char).collect();
            if let Some(bytes) = bytes {
                return bytes;
            }
            return token.as_bytes().to_vec();
        }
        if self.byte_fallback {
            if let Some(byte) = fallback_byte(token) {
                return vec![byte];
            }
        }
        let mut text = token.to_string();
        for (from, to) in &self.replacements {
            if !from.is_empty() && text.contains(from.as_str()) {
                text = text.replace(from.as_str(), to);
            }
        }
        text.into_bytes()
    }
}

/// "<0xE2>" is byte 0xE2.
pub fn fallback_byte(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

/// GPT-2's byte alphabet backwards: the printable bytes of Latin-1 stand for themselves, the 68
/// others, in order, for U+0100 and up.
fn byte_of_char(c: char) -> Option<u8> {
    let code = c as u32;
    match code {
        0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF => Some(code as u8),
        0x100..=0x120 => Some((code - 0x100) as u8),
        0x121..=0x142 => Some((code - 0x121 + 0x7F) as u8),
        0x143 => Some(0xAD),
        _ => None,
    }
}
