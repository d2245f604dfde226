#include "batch/fields.h"

namespace sluice::batch {
namespace {

// Whose they are, what is kept, how urgent it is: none of it reaches the model.
constexpr const char* kNoEffect[] = {"user",
                                     "metadata",
                                     "store",
                                     "service_tier",
                                     "safety_identifier",
                                     "prompt_cache_key",
                                     "prompt_cache_retention",
                                     "prediction",
                                     "priority",
                                     "request_id",
                                     "cache_salt",
                                     "cache_prompt",
                                     "parallel_tool_calls"};

struct Refused {
  const char* key;
  const char* hint;
};

// Known fields of OpenAI, vLLM, SGLang and llama.cpp that would change the answer.
constexpr Refused kRefused[] = {
    {"functions", "tools are not"},
    {"function_call", "tools are not"},
    {"audio", "answers are text"},
    {"reasoning_effort", "set what the model's chat template reads in 'chat_template_kwargs'"},
    {"verbosity", "leave it out"},
    {"web_search_options", "leave it out"},
    {"chat_template", "the model's own template is used"},
    {"mm_processor_kwargs", "the model takes text"},
    {"truncate_prompt_tokens", "shorten the prompt"},
    {"prompt_logprobs", "a completion with 'echo' and 'logprobs' gives them"},
    {"allowed_token_ids", "'logit_bias', 'structured_outputs' and 'response_format' are"},
    {"bad_words", "'logit_bias' is"},
    {"logits_processors", "leave it out"},
    {"thinking_token_budget", "leave it out"},
    {"kv_transfer_params", "leave it out"},
    {"vllm_xargs", "leave it out"},
    {"guided_grammar", "'structured_outputs' with json, regex or choice is"},
    {"guided_decoding_backend", "leave it out"},
    {"guided_whitespace_pattern", "leave it out"},
    {"grammar", "'structured_outputs' with json, regex or choice is"},
    {"ebnf", "'structured_outputs' with json, regex or choice is"},
    {"regex", "write it as 'structured_outputs': {'regex': ...}"},
    {"json_schema", "write it as 'structured_outputs': {'json': ...}"},
    {"stop_regex", "'stop' is"},
    {"repeat_penalty", "'repetition_penalty' is"},
    {"n_predict", "'max_tokens' is"},
    {"n_probs", "'logprobs' is"},
};

void read_tools(Fields& fields) {
  const Json* tools = fields.find("tools");
  if (tools != nullptr && !(tools->is_array() && tools->empty()))
    fields.unsupported("tools", "ask for JSON with 'response_format' instead");
  const Json* choice = fields.find("tool_choice");
  if (choice != nullptr && *choice != "none") fields.unsupported("tool_choice", "tools are not");
}

// Switches that are supported in one position only, which is their default.
void read_switches(Fields& fields) {
  bool stream = false;
  fields.boolean("stream", stream);
  if (stream) fields.unsupported("stream", "a batch answers each line whole");
  if (fields.has("stream_options")) fields.unsupported("stream_options", "it needs 'stream'");
  bool beams = false;
  fields.boolean("use_beam_search", beams);
  if (beams) fields.unsupported("use_beam_search", "leave it out");
  double length_penalty = 1;
  fields.number("length_penalty", -1e9, 1e9, length_penalty);
  if (length_penalty != 1) fields.unsupported("length_penalty", "it belongs to beam search");
  bool spaces = true;
  fields.boolean("spaces_between_special_tokens", spaces);
  if (!spaces) fields.unsupported("spaces_between_special_tokens", "only true is");
  bool as_ids = false;
  fields.boolean("return_tokens_as_token_ids", as_ids);
  if (as_ids) fields.unsupported("return_tokens_as_token_ids", "'return_token_ids' is");
  const Json* modalities = fields.find("modalities");
  if (modalities != nullptr && *modalities != Json::array({"text"}))
    fields.unsupported("modalities", "answers are text");
}

}  // namespace

void read_other(Fields& fields) {
  for (const char* key : kNoEffect) fields.find(key);
  read_tools(fields);
  read_switches(fields);
  for (const Refused& refused : kRefused) {
    if (fields.has(refused.key)) fields.unsupported(refused.key, refused.hint);
  }
}

}  // namespace sluice::batch
