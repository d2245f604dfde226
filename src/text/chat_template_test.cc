#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/test_path.h"
#include "text/testdata.h"

namespace sluice::text {
namespace {

// 2025-03-09 07:05:04, the instant that tools/text_goldens.py holds the clock at.
constexpr int64_t kGoldenTime = 1741503904;

ChatOptions options_of(const nlohmann::ordered_json& golden) {
  ChatOptions options;
  options.local_time_s = kGoldenTime;
  options.add_generation_prompt = golden.value("add_generation_prompt", false);
  if (golden.contains("tools")) options.tools_json = golden["tools"].dump();
  if (golden.contains("documents")) options.documents_json = golden["documents"].dump();
  if (golden.contains("kwargs")) options.kwargs_json = golden["kwargs"].dump();
  return options;
}

Result<std::string> render(const std::string& source, const std::string& messages = "[]",
                           const ChatOptions& options = {}, ChatTemplateLimits limits = {}) {
  SLUICE_ASSIGN(const auto made, ChatTemplate::from_source(source, "", limits));
  return made.render(messages, options);
}

std::string refusal(const std::string& source, ChatTemplateLimits limits = {}) {
  const auto rendered = render(source, "[]", {}, limits);
  return rendered.ok() ? "rendered " + rendered->substr(0, 200) : rendered.error().message;
}

TEST(ChatTemplate, MatchesTransformers) {
  int compared = 0;
  const auto goldens = testdata::json("renders.json");
  for (const auto& golden : goldens) {
    if (!golden.contains("template")) continue;
    const std::string name = golden["template"];
    const auto made = ChatTemplate::from_source(
        testdata::read("templates/" + name + ".jinja"),
        golden.value("special_tokens", nlohmann::ordered_json::object()).dump());
    ASSERT_TRUE(made.ok()) << name << ": " << made.error().message;
    const auto got = made->render(golden["messages"].dump(), options_of(golden));
    ++compared;
    if (golden.contains("expected")) {
      ASSERT_TRUE(got.ok()) << name << ": " << got.error().message << golden;
      EXPECT_EQ(*got, golden["expected"].get<std::string>()) << name;
    } else {
      ASSERT_FALSE(got.ok()) << name << golden;
      EXPECT_NE(got.error().message.find(golden["error"].get<std::string>()), std::string::npos)
          << got.error().message;
    }
  }
  EXPECT_GT(compared, 40);
}

TEST(ChatTemplate, SnippetsMatchJinja2) {
  const auto goldens = testdata::json("renders.json");
  ChatOptions options;
  options.local_time_s = kGoldenTime;
  options.kwargs_json = nlohmann::ordered_json{{"data", goldens[0]["data"]}}.dump();
  options.add_generation_prompt = false;
  // What Jinja2 does and this does not: refused, or rendered otherwise, and known to be.
  const auto known = testdata::json("known_differences.json");
  int compared = 0;
  int different = 0;
  for (const auto& golden : goldens) {
    if (!golden.contains("source")) continue;
    const std::string source = golden["source"];
    const auto got = render(source, "[]", options);
    ++compared;
    const bool refused = std::find(known["refused"].begin(), known["refused"].end(), source) !=
                         known["refused"].end();
    const bool otherwise = known["rendered"].contains(source);
    different += refused || otherwise;
    if (refused || !golden.contains("expected")) {
      EXPECT_FALSE(got.ok()) << golden << " gave " << *got;
    } else {
      EXPECT_TRUE(got.ok()) << source << ": " << got.error().message;
      const auto& expected = otherwise ? known["rendered"][source] : golden["expected"];
      if (got.ok()) {
        EXPECT_EQ(*got, expected.get<std::string>()) << source;
      }
    }
  }
  EXPECT_EQ(different, known["refused"].size() + known["rendered"].size());
  EXPECT_GT(compared, 300);
}

TEST(ChatTemplate, AdaptsContentToWhatTheTemplateTakes) {
  const std::string joins = "{% for m in messages %}[{{ m.content }}]{% endfor %}";
  const std::string walks =
      "{% for m in messages %}[{% if m.content is string %}{{ m.content }}{% else %}"
      "{% for p in m.content %}{{ p.text }}{% endfor %}{% endif %}]{% endfor %}";
  const std::string only_parts =
      "{% for m in messages %}[{% for p in m.content %}{{ p['text'] }}{% endfor %}]{% endfor %}";
  const std::string text = R"([{"role":"user","content":"hi"}])";
  const std::string parts =
      R"([{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}])";
  EXPECT_EQ(*render(joins, text), "[hi]");
  EXPECT_EQ(*render(joins, parts), "[a\nb]");
  EXPECT_EQ(*render(walks, text), "[hi]");
  EXPECT_EQ(*render(walks, parts), "[ab]");
  EXPECT_EQ(*render(only_parts, text), "[hi]");
  EXPECT_EQ(*render(only_parts, parts), "[ab]");
  EXPECT_FALSE(ChatTemplate::from_source(joins, "")->takes_parts());
  EXPECT_TRUE(ChatTemplate::from_source(walks, "")->takes_parts());
  EXPECT_TRUE(ChatTemplate::from_source(only_parts, "")->takes_parts());
  const auto image =
      render(joins, R"([{"role":"user","content":[{"type":"image_url","image_url":{}}]}])");
  EXPECT_EQ(image.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(image.error().message.find("image_url"), std::string::npos);
}

TEST(ChatTemplate, BadInputIsAnError) {
  const std::string source = "{{ messages | length }}";
  for (const char* messages : {"", "{}", "[1]", "[", "null", "[{]", "\xff"}) {
    EXPECT_FALSE(render(source, messages).ok()) << messages;
  }
  ChatOptions options;
  options.kwargs_json = R"({"messages": []})";
  EXPECT_NE(render(source, "[]", options).error().message.find("may not set 'messages'"),
            std::string::npos);
  options.kwargs_json = "[]";
  EXPECT_FALSE(render(source, "[]", options).ok());
  const std::string deep = std::string(5000, '[') + std::string(5000, ']');
  EXPECT_FALSE(render(source, deep).ok());
  EXPECT_FALSE(ChatTemplate::from_source("{% if %}", "").ok());
  EXPECT_FALSE(ChatTemplate::from_source("{{ '\xff' }}", "").ok());
}

TEST(ChatTemplate, ReadsConfigs) {
  const auto plain = ChatTemplate::from_config(
      R"({"chat_template": "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}",)"
      R"("bos_token": "<s>", "eos_token": {"content": "</s>", "special": true}})",
      std::nullopt);
  ASSERT_TRUE(plain.ok()) << plain.error().message;
  const std::string hi = R"([{"role":"user","content":"hi"}])";
  EXPECT_EQ(*plain->render(hi, {}), "<s>hi</s>");

  const auto named =
      ChatTemplate::from_config(R"({"chat_template": [{"name": "default", "template": "plain"},)"
                                R"({"name": "tool_use", "template": "tools"}]})",
                                std::nullopt);
  ChatOptions with_tools;
  with_tools.tools_json = R"([{"type":"function"}])";
  EXPECT_EQ(*named->render(hi, {}), "plain");
  EXPECT_EQ(*named->render(hi, with_tools), "tools");

  EXPECT_EQ(*ChatTemplate::from_config(R"({"chat_template": "config"})", "file")->render(hi, {}),
            "file");
  EXPECT_EQ(ChatTemplate::from_config("{}", std::nullopt).error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(ChatTemplate::from_config(R"({"chat_template": 5})", std::nullopt).ok());
  EXPECT_FALSE(ChatTemplate::from_config("[]", "x").ok());
}

TEST(ChatTemplate, ReadsModelDirectories) {
  const std::filesystem::path path = base::test_path("chat_template");
  std::filesystem::create_directories(path / "additional_chat_templates");
  std::ofstream(path / "chat_template.jinja") << "{{ eos_token }}default";
  std::ofstream(path / "additional_chat_templates" / "tool_use.jinja") << "tools";
  std::ofstream(path / "special_tokens_map.json") << R"({"eos_token": "<end>"})";
  const auto made = ChatTemplate::from_directory(path.string());
  ASSERT_TRUE(made.ok()) << made.error().message;
  ChatOptions with_tools;
  with_tools.tools_json = "[{}]";
  EXPECT_EQ(*made->render("[]", {}), "<end>default");
  EXPECT_EQ(*made->render("[]", with_tools), "tools");
  std::filesystem::remove_all(path);
  EXPECT_EQ(ChatTemplate::from_directory(path.string()).error().code, ErrorCode::kNotFound);
}

TEST(ChatTemplate, TellsTheLocalTimeWhenNoneIsGiven) {
  const auto year = render("{{ strftime_now('%Y') }}");
  ASSERT_TRUE(year.ok());
  EXPECT_GE(std::stoi(*year), 2024);
}

// Each of these would run for ever, fill the memory or overflow the stack.
TEST(ChatTemplate, HostileTemplatesMeetTheirLimits) {
  const std::string nested = [] {
    std::string text = "{{ ";
    for (int i = 0; i < 20000; ++i) text += "(";
    return text + "1";
  }();
  const std::string many_ifs = [] {
    std::string text;
    for (int i = 0; i < 20000; ++i) text += "{% if 1 %}";
    return text;
  }();
  const std::vector<std::string> hostile = {
      "{% for a in range(99999) %}{% for b in range(99999) %}{% set c = 1 %}{% endfor %}{% endfor "
      "%}",
      "{{ 'a' * 10**9 }}",
      "{{ ('a' * 10**6) * 10**6 }}",
      "{{ range(10**9) | list | length }}",
      "{{ [0] * 10**9 }}",
      "{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}"
      "{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x | length }}",
      "{% set ns = namespace(x=[1]) %}"
      "{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x | length }}",
      "{% set ns = namespace(x=[1]) %}"
      "{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
      "{% set ns = namespace(x=[1]) %}"
      "{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | tojson }}",
      "{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}"
      "{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
      "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
      "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}",
      "{{ 'a'.replace('', 'b' * 10**6) * 1000 }}",
      "{{ ('ab' * 10**6).replace('a', 'c' * 10**6) }}",
      "{{ 'x'.ljust(10**12) }}",
      "{{ 'x'.center(10**12) | length }}",
      "{{ 'x' | center(10**12) }}",
      "{{ '%1000000000d' | format(1) }}",
      "{{ '{:1000000000}'.format(1) }}",
      "{{ ('{0}' * 10**5).format('a' * 10**6) }}",
      "{{ ('y' * 10**6).join(('x ' * 10**5).split()) }}",
      "{{ ('a' * 10**6) | indent(10**9) }}",
      "{{ ('x ' * 10**6).split() | join('y' * 10**6) }}",
      "{% set b %}{% for i in range(99999) %}" + std::string(4000, 'z') +
          "{% endfor %}{% endset %}{{ b | length }}",
      "{% set ns = namespace() %}{% set ns.me = [ns] %}",
      "{% set ns = namespace() %}{% set ns.a, ns.b = 1, 2 %}",
      "{% set ns = namespace() %}{% set ns.d = dict(a=ns) %}{{ [ns.d] | tojson }}",
      "{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}{{ ns | tojson }}",
      "{% set a = namespace() %}{% set a.x = a %}{% set b = namespace() %}{% set b.x = b %}"
      "{{ a == b }}",
      "{% set a = namespace() %}{% set a.x = a %}{% set b = namespace() %}{% set b.x = b %}"
      "{{ a != b }}",
      "{{ 2 ** 1000000000 }}",
      "{% for i in range(99999) %}{% for j in range(999) %}{{ 'spam' }}{% endfor %}{% endfor %}",
      "{{ 'a' | batch(10**9, 'x') | list }}",
      "{{ [1, 2] | slice(10**9) | list }}",
      nested,
      many_ifs,
  };
  // Much less than the default, so that the test is short; what ran for ever would still do so.
  ChatTemplateLimits limits;
  limits.output_bytes = size_t{1} << 20;
  limits.fuel = 200'000;
  for (const std::string& source : hostile) {
    const std::string said = refusal(source, limits);
    EXPECT_NE(said.substr(0, 8), "rendered") << source.substr(0, 200) << said;
  }
}

// LeakSanitizer tells whether they are freed.
TEST(ChatTemplate, NamespacesThatHoldThemselvesAreFreed) {
  const std::string start = "{% set ns = namespace() %}";
  EXPECT_EQ(refusal(start + "{% set ns.d = dict(a=ns) %}done"), "rendered done");
  EXPECT_EQ(refusal(start + "{% macro m() %}{{ ns.m }}{% endmacro %}{% set ns.m = m %}done"),
            "rendered done");
}

TEST(ChatTemplate, DeepValuesAreRefused) {
  const std::string said = refusal(
      "{% set ns = namespace(x=[1]) %}{% for i in range(999) %}{% set ns.x = [ns.x] %}{% endfor %}"
      "done");
  EXPECT_NE(said.find("nested too deeply"), std::string::npos) << said;
}

TEST(ChatTemplate, LimitsHaveNames) {
  ChatTemplateLimits limits;
  limits.template_bytes = 10;
  EXPECT_NE(refusal("{{ 'long enough' }}", limits).find("template_bytes"), std::string::npos);
  limits = {};
  limits.output_bytes = 10;
  EXPECT_NE(refusal("0123456789a", limits).find("output_bytes"), std::string::npos);
  EXPECT_NE(refusal("{{ '0123456789' }}{{ 'a' }}", limits).find("output_bytes"), std::string::npos);
  EXPECT_EQ(refusal("0123456789", limits), "rendered 0123456789");
  limits = {};
  limits.fuel = 100;
  EXPECT_NE(refusal("{% for i in range(1000) %}{{ i }}{% endfor %}", limits).find("fuel"),
            std::string::npos);
  limits = {};
  limits.wall_ms = 0;
  EXPECT_NE(refusal("{{ 1 }}", limits).find("wall_ms"), std::string::npos);
  limits = {};
  limits.input_bytes = 10;
  EXPECT_NE(render("x", R"([{"role":"user"}])", {}, limits).error().message.find("input_bytes"),
            std::string::npos);
}

}  // namespace
}  // namespace sluice::text
