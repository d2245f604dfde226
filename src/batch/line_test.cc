#include "batch/line.h"

#include <gtest/gtest.h>

namespace sluice::batch {
namespace {

ParsedLine parse(const std::string& text) { return parse_line(text, {}); }

// A chat body with `fields` added.
ParsedLine chat(const std::string& fields) {
  return parse(R"({"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{)"
               R"("messages":[{"role":"user","content":"hi"}])" +
               (fields.empty() ? "" : "," + fields) + "}}");
}

ParsedLine completion(const std::string& fields) {
  return parse(R"({"custom_id":"a","method":"POST","url":"/v1/completions","body":{)" + fields +
               "}}");
}

std::string code(const ParsedLine& parsed) {
  return parsed.error() != nullptr ? parsed.error()->code : "none";
}

TEST(Line, ReadsAChat) {
  const ParsedLine parsed = chat(
      R"("model":"m","temperature":0,"top_p":0.5,"top_k":4,"min_p":0.1,"seed":-7,"n":3,)"
      R"("max_completion_tokens":9,"stop":["x","yz"],"stop_token_ids":[5],"logprobs":true,)"
      R"("top_logprobs":2,"logit_bias":{"12":-100,"3":1.5},"presence_penalty":-1,)"
      R"("frequency_penalty":2,"repetition_penalty":1.1,"min_tokens":2,"ignore_eos":true,)"
      R"("chat_template_kwargs":{"thinking":false},"user":"me","metadata":{"a":"b"},"stream":false)");
  ASSERT_NE(parsed.line(), nullptr) << parsed.error()->message;
  const BatchLine& line = *parsed.line();
  EXPECT_EQ(parsed.custom_id, "a");
  EXPECT_TRUE(line.is_chat);
  EXPECT_EQ(line.model, "m");
  EXPECT_EQ(line.messages.size(), 1U);
  EXPECT_EQ(line.chat_template_kwargs["thinking"], false);
  EXPECT_FALSE(line.add_special_tokens);
  EXPECT_TRUE(line.has_max_tokens);
  const engine::SamplingParams& sampling = line.sampling;
  EXPECT_EQ(sampling.temperature, 0);
  EXPECT_EQ(sampling.top_p, 0.5);
  EXPECT_EQ(sampling.top_k, 4);
  EXPECT_EQ(sampling.min_p, 0.1);
  EXPECT_EQ(sampling.seed, static_cast<uint64_t>(-7));
  EXPECT_EQ(sampling.n, 3);
  EXPECT_EQ(sampling.max_tokens, 9);
  EXPECT_EQ(sampling.min_tokens, 2);
  EXPECT_EQ(sampling.stop, (std::vector<std::string>{"x", "yz"}));
  EXPECT_EQ(sampling.stop_token_ids, (std::vector<int32_t>{5}));
  EXPECT_EQ(sampling.logprobs, 2);
  EXPECT_EQ(sampling.logit_bias, (std::vector<std::pair<int32_t, float>>{{3, 1.5F}, {12, -100.F}}));
  EXPECT_EQ(sampling.presence_penalty, -1);
  EXPECT_EQ(sampling.frequency_penalty, 2);
  EXPECT_EQ(sampling.repetition_penalty, 1.1);
  EXPECT_TRUE(sampling.ignore_eos);
}

TEST(Line, ReadsPromptsInEveryShape) {
  const auto prompts = [](const std::string& json) {
    const ParsedLine parsed = completion("\"prompt\":" + json);
    EXPECT_NE(parsed.line(), nullptr) << json;
    return parsed.line() != nullptr ? parsed.line()->prompts : std::vector<Prompt>();
  };
  using Ids = std::vector<int32_t>;
  EXPECT_EQ(prompts(R"("one")"), (std::vector<Prompt>{"one"}));
  EXPECT_EQ(prompts(R"(["one","two"])"), (std::vector<Prompt>{"one", "two"}));
  EXPECT_EQ(prompts("[1,2]"), (std::vector<Prompt>{Ids{1, 2}}));
  EXPECT_EQ(prompts("[[1],[2,3]]"), (std::vector<Prompt>{Ids{1}, Ids{2, 3}}));
  EXPECT_EQ(code(completion(R"("prompt":["one",[1]])")), "invalid_type");
  EXPECT_EQ(code(completion(R"("prompt":[])")), "invalid_type");
  EXPECT_EQ(code(completion(R"("prompt":[1,-2])")), "invalid_type");
  EXPECT_EQ(code(completion(R"("prompt":[1.5])")), "invalid_type");
  EXPECT_EQ(code(completion(R"("model":"m")")), "missing_required_parameter");
}

TEST(Line, EchoWithLogprobsAsksForThePromptsToo) {
  const ParsedLine parsed =
      completion(R"("prompt":[1,2],"echo":true,"logprobs":1,"max_tokens":0,"temperature":0)");
  ASSERT_NE(parsed.line(), nullptr) << parsed.error()->message;
  EXPECT_TRUE(parsed.line()->echo);
  EXPECT_EQ(parsed.line()->sampling.prompt_logprobs, 1);
  EXPECT_EQ(parsed.line()->sampling.max_tokens, 0);
  EXPECT_EQ(code(chat(R"("max_tokens":0)")), "invalid_value");
  EXPECT_EQ(code(completion(R"("prompt":"x","max_tokens":0)")), "invalid_value");
  const ParsedLine alone = completion(R"("prompt":"x","max_tokens":0,"echo":true)");
  ASSERT_NE(alone.line(), nullptr);
  EXPECT_EQ(alone.line()->sampling.prompt_logprobs, 0);
  EXPECT_FALSE(alone.line()->sampling.logprobs);
}

TEST(Line, PlainLinesNeedNoIdOfTheirOwn) {
  const ParsedLine prompt = parse(R"({"prompt":"x","temperature":0.5})");
  ASSERT_NE(prompt.line(), nullptr);
  EXPECT_FALSE(prompt.line()->is_chat);
  EXPECT_EQ(prompt.custom_id, "");
  const ParsedLine messages = parse(
      R"({"custom_id":"z","messages":[{"role":"user","content":[{"type":"text","text":"x"}]}]})");
  ASSERT_NE(messages.line(), nullptr);
  EXPECT_TRUE(messages.line()->is_chat);
  EXPECT_EQ(messages.custom_id, "z");
}

TEST(Line, DefaultsFillWhatABodyLeavesOut) {
  engine::SamplingParams defaults;
  defaults.temperature = 0;
  defaults.top_k = 7;
  const ParsedLine parsed = parse_line(R"({"prompt":"x","top_k":2})", defaults);
  ASSERT_NE(parsed.line(), nullptr);
  EXPECT_EQ(parsed.line()->sampling.temperature, 0);
  EXPECT_EQ(parsed.line()->sampling.top_k, 2);
  EXPECT_FALSE(parsed.line()->has_max_tokens);
}

TEST(Line, ReadsGuides) {
  const auto guide = [](const std::string& fields) {
    const ParsedLine parsed = chat(fields);
    EXPECT_NE(parsed.line(), nullptr) << fields << ": " << code(parsed);
    return parsed.line() != nullptr ? parsed.line()->guide : engine::GuideSpec();
  };
  using engine::GuideChoice;
  using engine::GuideJsonSchema;
  using engine::GuideRegex;
  EXPECT_EQ(guide(R"("response_format":{"type":"text"})").index(), 0U);
  EXPECT_EQ(guide(R"("response_format":{"type":"json_object"})").index(), 1U);
  EXPECT_EQ(
      std::get<GuideJsonSchema>(guide(R"("response_format":{"type":"json_schema","json_schema":)"
                                      R"({"name":"n","strict":true,"schema":{"type":"object"}}})"))
          .schema,
      R"({"type":"object"})");
  EXPECT_EQ(std::get<GuideJsonSchema>(guide(R"("guided_json":"{\"type\":\"null\"}")")).schema,
            R"({"type":"null"})");
  EXPECT_EQ(std::get<GuideRegex>(guide(R"("structured_outputs":{"regex":"a+"})")).pattern, "a+");
  EXPECT_EQ(std::get<GuideChoice>(guide(R"("structured_outputs":{"choice":["a","b"]})")).choices,
            (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(code(chat(R"("guided_regex":"a","response_format":{"type":"json_object"})")),
            "invalid_value");
  EXPECT_EQ(code(chat(R"("structured_outputs":{"regex":"a","choice":["b"]})")), "invalid_value");
  EXPECT_EQ(code(chat(R"("structured_outputs":{"grammar":"root ::= x"})")),
            "unsupported_parameter");
  EXPECT_EQ(code(chat(R"("structured_outputs":{"json_object":false})")), "invalid_value");
  EXPECT_EQ(code(chat(R"("response_format":{"type":"xml"})")), "unsupported_parameter");
  EXPECT_EQ(code(chat(R"("response_format":{"type":"json_schema"})")),
            "missing_required_parameter");
}

struct Refusal {
  const char* fields;
  const char* code;
  const char* param;
};

TEST(Line, RefusesByName) {
  const Refusal refusals[] = {
      {R"("temperature":2.1)", "invalid_value", "temperature"},
      {R"("temperature":"0")", "invalid_type", "temperature"},
      {R"("top_p":0)", "invalid_value", "top_p"},
      {R"("top_p":1.01)", "invalid_value", "top_p"},
      {R"("top_k":-2)", "invalid_value", "top_k"},
      {R"("min_p":-0.1)", "invalid_value", "min_p"},
      {R"("n":0)", "invalid_value", "n"},
      {R"("n":129)", "invalid_value", "n"},
      {R"("n":1.5)", "invalid_type", "n"},
      {R"("seed":1.5)", "invalid_type", "seed"},
      {R"("stop":"")", "invalid_value", "stop"},
      {R"("stop":[3])", "invalid_type", "stop"},
      {R"("stop":{"a":1})", "invalid_type", "stop"},
      {R"("stop_token_ids":[-1])", "invalid_type", "stop_token_ids"},
      {R"("presence_penalty":2.5)", "invalid_value", "presence_penalty"},
      {R"("frequency_penalty":-2.5)", "invalid_value", "frequency_penalty"},
      {R"("repetition_penalty":0)", "invalid_value", "repetition_penalty"},
      {R"("logit_bias":{"x":1})", "invalid_value", "logit_bias"},
      {R"("logit_bias":{"05":1})", "invalid_value", "logit_bias"},
      {R"("logit_bias":{"5":101})", "invalid_value", "logit_bias"},
      {R"("logit_bias":[1])", "invalid_type", "logit_bias"},
      {R"("logprobs":true,"top_logprobs":21)", "invalid_value", "top_logprobs"},
      {R"("top_logprobs":2)", "invalid_value", "top_logprobs"},
      {R"("logprobs":3)", "invalid_type", "logprobs"},
      {R"("max_tokens":0)", "invalid_value", "max_tokens"},
      {R"("max_tokens":5,"max_completion_tokens":6)", "invalid_value", "max_tokens"},
      {R"("max_tokens":5,"min_tokens":6)", "invalid_value", "min_tokens"},
      {R"("best_of":2)", "unsupported_parameter", "best_of"},
      {R"("stream":true)", "unsupported_parameter", "stream"},
      {R"("tools":[{"type":"function"}])", "unsupported_parameter", "tools"},
      {R"("tool_choice":"auto")", "unsupported_parameter", "tool_choice"},
      {R"("use_beam_search":true)", "unsupported_parameter", "use_beam_search"},
      {R"("bad_words":["x"])", "unsupported_parameter", "bad_words"},
      {R"("reasoning_effort":"high")", "unsupported_parameter", "reasoning_effort"},
      {R"("guided_grammar":"x")", "unsupported_parameter", "guided_grammar"},
      {R"("repeat_penalty":1.1)", "unsupported_parameter", "repeat_penalty"},
      {R"("modalities":["audio"])", "unsupported_parameter", "modalities"},
      {R"("prompt":"x")", "unsupported_parameter", "prompt"},
      {R"("temprature":0)", "unknown_parameter", "temprature"},
      {R"("dry_multiplier":1)", "unknown_parameter", "dry_multiplier"},
      {R"("chat_template_kwargs":[])", "invalid_type", "chat_template_kwargs"},
      {R"("continue_final_message":true)", "unsupported_parameter", "continue_final_message"},
  };
  for (const Refusal& refusal : refusals) {
    const ParsedLine parsed = chat(refusal.fields);
    ASSERT_NE(parsed.error(), nullptr) << refusal.fields;
    EXPECT_EQ(parsed.error()->code, refusal.code) << refusal.fields;
    EXPECT_EQ(parsed.error()->param, refusal.param) << refusal.fields;
    EXPECT_TRUE(parsed.error()->in_body);
    EXPECT_NE(parsed.error()->message.find(refusal.param), std::string::npos) << refusal.fields;
    EXPECT_EQ(parsed.custom_id, "a");
  }
}

TEST(Line, PassesOverWhatChangesNoAnswer) {
  for (const char* fields :
       {R"("store":true)", R"("service_tier":"auto")", R"("tools":[])", R"("tool_choice":"none")",
        R"("best_of":1)", R"("stop":null)", R"("stop":[])", R"("logit_bias":{})", R"("priority":3)",
        R"("parallel_tool_calls":true)", R"("length_penalty":1.0)", R"("modalities":["text"])",
        R"("logprobs":false,"top_logprobs":0)", R"("max_tokens":8.0)"}) {
    const ParsedLine parsed = chat(fields);
    EXPECT_NE(parsed.line(), nullptr) << fields << " " << code(parsed);
  }
}

TEST(Line, RefusesMessagesThatAreNotText) {
  const auto messages = [](const std::string& list) {
    return parse(R"({"custom_id":"a","messages":)" + list + "}");
  };
  const Refusal refusals[] = {
      {"[]", "invalid_type", "messages"},
      {"[1]", "invalid_type", "messages[0]"},
      {R"([{"content":"x"}])", "missing_required_parameter", "messages[0].role"},
      {R"([{"role":"king","content":"x"}])", "invalid_value", "messages[0].role"},
      {R"([{"role":"tool","content":"x"}])", "unsupported_parameter", "messages[0].role"},
      {R"([{"role":"user"}])", "missing_required_parameter", "messages[0].content"},
      {R"([{"role":"user","content":1}])", "invalid_type", "messages[0].content"},
      {R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"u"}}]}])",
       "unsupported_parameter", "messages[0].content[0].type"},
      {R"([{"role":"user","content":[{"type":"text"}]}])", "missing_required_parameter",
       "messages[0].content[0].text"},
      {R"([{"role":"user","content":"x","mood":"bad"}])", "unknown_parameter", "messages[0].mood"},
      {R"([{"role":"assistant","content":"x","tool_calls":[{}]}])", "unsupported_parameter",
       "messages[0].tool_calls"},
  };
  for (const Refusal& refusal : refusals) {
    const ParsedLine parsed = messages(refusal.fields);
    ASSERT_NE(parsed.error(), nullptr) << refusal.fields;
    EXPECT_EQ(parsed.error()->code, refusal.code) << refusal.fields;
    EXPECT_EQ(parsed.error()->param, refusal.param) << refusal.fields;
  }
  // An answer of a chat, copied back.
  EXPECT_NE(
      messages(R"([{"role":"assistant","content":"x","refusal":null,"tool_calls":[]}])").line(),
      nullptr);
}

TEST(Line, RefusesBrokenEnvelopes) {
  const auto error = [](const std::string& text) {
    const ParsedLine parsed = parse(text);
    EXPECT_TRUE(parsed.error() != nullptr && !parsed.error()->in_body) << text;
    return code(parsed);
  };
  EXPECT_EQ(error("{"), "invalid_json_line");
  EXPECT_EQ(error("[1]"), "invalid_json_line");
  EXPECT_EQ(error("{\"a\":1,\"a\":2}"), "invalid_json_line");
  EXPECT_EQ(error("{}"), "missing_required_parameter");
  EXPECT_EQ(error(R"({"custom_id":7,"prompt":"x"})"), "invalid_type");
  EXPECT_EQ(error(R"({"custom_id":"","prompt":"x"})"), "invalid_value");
  EXPECT_EQ(error(R"({"method":"POST","url":"/v1/completions","body":{"prompt":"x"}})"),
            "missing_required_parameter");
  EXPECT_EQ(error(R"({"custom_id":"a","method":"GET","url":"/v1/completions","body":{}})"),
            "invalid_method");
  EXPECT_EQ(error(R"({"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{}})"),
            "invalid_url");
  EXPECT_EQ(error(R"({"custom_id":"a","method":"POST","url":"/v1/completions","body":3})"),
            "missing_required_parameter");
  EXPECT_EQ(error(R"({"custom_id":"a","method":"POST","url":"/v1/completions","body":{},"x":1})"),
            "unknown_parameter");
  EXPECT_EQ(error(std::string(100, '[')), "invalid_json_line");
}

TEST(Line, NamesLinesWithoutAnId) {
  EXPECT_EQ(line_id(7), "line-000007");
  EXPECT_EQ(line_id(12345678), "line-12345678");
  EXPECT_TRUE(is_line_id("line-000007"));
  EXPECT_TRUE(is_line_id("line-12345678"));
  EXPECT_FALSE(is_line_id("line-7"));
  EXPECT_FALSE(is_line_id("line-00000x"));
  EXPECT_FALSE(is_line_id("request-1"));
}

}  // namespace
}  // namespace sluice::batch
