// sluice plan MODEL
#include <cstdio>
#include <fstream>
#include <memory>

#include "cli/command.h"
#include "cli/exit_codes.h"
#include "cli/json_file.h"
#include "cli/plan_page.h"
#include "cli/plan_question.h"
#include "cli/terminal.h"
#include "hardware/presets.h"
#include "models/shape.h"
#include "planner/answer_json.h"
#include "planner/roofline_svg.h"

namespace sluice::cli {
namespace {

struct CommandFlags {
  PlanFlags plan;
  std::string output, plot;
  std::vector<std::string> diff;
  bool json = false, explain = false, list = false;
};

Status write_text(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.close();
  if (!out) return Error{ErrorCode::kIo, "cannot write '" + path + "'"};
  return {};
}

int print_difference(const std::vector<std::string>& paths) {
  const auto before = read_json_file(paths[0], kMaxPlanFileBytes);
  if (!before.ok()) return fail(before.error());
  const auto after = read_json_file(paths[1], kMaxPlanFileBytes);
  if (!after.ok()) return fail(after.error());
  for (const planner::Difference& d : planner::difference(*before, *after)) {
    std::printf("%-44s %s -> %s\n", d.field.c_str(), d.before.empty() ? "-" : d.before.c_str(),
                d.after.empty() ? "-" : d.after.c_str());
  }
  return kOk;
}

int print_presets() {
  const auto print = [](const char* what, const std::vector<hardware::PresetPart>& parts) {
    std::printf("%s\n", what);
    for (const auto& part : parts)
      std::printf("  %-12s %s\n", part.name.c_str(), part.origin.c_str());
  };
  print("--device", hardware::device_presets());
  print("--host", hardware::host_presets());
  print("--disk", hardware::disk_presets());
  std::printf("MODEL\n");
  for (const auto& shape : models::known_shapes())
    std::printf("  %-16s %s\n", shape.name, shape.source);
  return kOk;
}

int plan_command(const CommandFlags& flags) {
  if (!flags.diff.empty()) return print_difference(flags.diff);
  if (flags.list) return print_presets();
  const auto question = question_of(flags.plan);
  if (!question.ok()) return fail(question.error());
  const auto answer = planner::answer(*question);
  if (!answer.ok()) return fail(answer.error());
  const auto gains = planner::what_ifs(*question, *answer);
  const Json json = planner::to_json(*question, *answer, gains);
  if (!flags.output.empty()) {
    if (const Status written = write_text(flags.output, json.dump(2) + "\n"); !written)
      return fail(written.error());
  }
  if (!flags.plot.empty()) {
    if (const Status written = write_text(flags.plot, planner::roofline_svg(*question, *answer));
        !written)
      return fail(written.error());
  }
  if (flags.json) {
    std::printf("%s\n", base::to_line(json).c_str());
  } else if (!flags.explain) {
    std::fputs(plan_summary(*question, *answer, gains).c_str(), stdout);
  } else {
    std::fputs(plan_page(*question, *answer, gains, columns(1)).c_str(), stdout);
  }
  return kOk;
}

}  // namespace

void add_plan(CLI::App& program, Action& action) {
  auto flags = std::make_shared<CommandFlags>();
  CLI::App* command = program.add_subcommand(
      "plan", "Finds and explains the policy for a model, a machine and a workload");
  add_plan_flags(*command, flags->plan);
  command->add_option("-o,--output", flags->output, "plan.json, which batch --plan runs")
      ->type_name("FILE");
  command->add_option("--plot", flags->plot, "the hierarchical roofline, an SVG")
      ->type_name("FILE");
  command->add_option("--diff", flags->diff, "two plan.json: what differs")
      ->expected(2)
      ->type_name("FILE");
  command->add_flag("--explain", flags->explain,
                    "a page instead of a few lines: lanes, a timeline, turning points, what-ifs");
  command->add_flag("--json", flags->json, "plan.json on standard output instead");
  command->add_flag("--list", flags->list, "the machines and models that are known by name");
  command->footer(
      "Examples:\n"
      "  sluice plan examples/demo_model -i prompts.jsonl -o plan.json\n"
      "  sluice plan mixtral-8x7b --device l4 --host-memory 192G --workload mtbench\n"
      "  sluice plan deepseek-v3 --device rtx-4090 --disk nvme-gen4 --quant auto --plot "
      "roofline.svg");
  command->callback([flags, &action] { action = [flags] { return plan_command(*flags); }; });
}

}  // namespace sluice::cli
