// Reads one file with src/io's reader, and says how fast. Without a file it makes one of random
// bytes beside it and removes it. bench/io/run sets it beside fio.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>

#include "base/json.h"
#include "base/units.h"
#include "io/reader.h"
#include "probe/scratch_file.h"

namespace {

using namespace sluice;
using Clock = std::chrono::steady_clock;

struct Options {
  std::string file, directory = ".", backend = "any", pattern = "sequential";
  std::string file_size = "1G", request_size = "1M", read_size;
  int depth = 16;
  double seconds = 3.0;
  bool buffered = false, unregistered = false, json = false;
};

struct Sizes {
  int64_t file_bytes = 0, request_bytes = 0, read_bytes = 0;
};

template <class T>
T must(Result<T> result) {
  if (result.ok()) return std::move(*result);
  std::fprintf(stderr, "io_bench: %s\n", result.error().message.c_str());
  std::exit(1);
}

void must(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "io_bench: %s\n", status.error().message.c_str());
  std::exit(1);
}

// Where requests go: one after the other, or anywhere at multiples of their size.
class Offsets {
 public:
  Offsets(int64_t places, bool random) : places_(places), random_(random) {}
  int64_t next() {
    if (random_) return static_cast<int64_t>(generator_() % static_cast<uint64_t>(places_));
    return at_++ % places_;
  }

 private:
  int64_t places_, at_ = 0;
  bool random_;
  std::mt19937_64 generator_{12345};
};

struct Measured {
  int64_t requests = 0;
  double seconds = 0.0;
};

Measured read_for(io::Reader& reader, io::FileId file, const Sizes& sizes, const Options& options,
                  std::byte* memory) {
  Offsets offsets(sizes.file_bytes / sizes.request_bytes, options.pattern == "random");
  const auto submit = [&](uint64_t place) {
    must(reader.submit({file, offsets.next() * sizes.request_bytes, sizes.request_bytes,
                        memory + static_cast<int64_t>(place) * sizes.request_bytes, place}));
  };
  Measured measured;
  int64_t out = options.depth;
  const auto start = Clock::now();
  const auto passed = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  for (int place = 0; place < options.depth; ++place) submit(static_cast<uint64_t>(place));
  io::Completion ended[64];
  while (out > 0) {
    const size_t count = reader.wait(ended, -1);
    for (size_t i = 0; i < count; ++i) {
      must(ended[i].status);
      ++measured.requests;
      --out;
      if (passed() >= options.seconds) continue;
      submit(ended[i].user);
      ++out;
    }
  }
  measured.seconds = passed();
  return measured;
}

void report(const Options& options, const Sizes& sizes, const io::Reader& reader, bool direct,
            const Measured& measured) {
  const double rate = static_cast<double>(measured.requests) *
                      static_cast<double>(sizes.request_bytes) / measured.seconds;
  if (options.json) {
    const Json json{{"measured_bytes_per_second", rate},
                    {"measured_seconds", measured.seconds},
                    {"requests", measured.requests},
                    {"request_bytes", sizes.request_bytes},
                    {"read_bytes", sizes.read_bytes},
                    {"queue_depth", options.depth},
                    {"pattern", options.pattern},
                    {"backend", io::name(reader.backend())},
                    {"direct", direct},
                    {"notes", reader.notes()}};
    std::printf("%s\n", base::to_line(json).c_str());
    return;
  }
  std::printf("%.3f GB/s  %s reads of %s, %d under way, %s, %s, %lld requests in %.2f s\n",
              rate / 1e9, options.pattern.c_str(),
              base::format_bytes(static_cast<double>(sizes.request_bytes)).c_str(), options.depth,
              io::name(reader.backend()), direct ? "direct" : "page cache",
              static_cast<long long>(measured.requests), measured.seconds);
  if (!reader.notes().empty()) std::printf("note: %s\n", reader.notes().c_str());
}

int run(const Options& options) {
  Sizes sizes;
  sizes.request_bytes = must(base::parse_bytes(options.request_size));
  sizes.read_bytes =
      must(base::parse_bytes(options.read_size.empty() ? options.request_size : options.read_size));
  std::optional<probe::ScratchFile> scratch;
  std::filesystem::path path = options.file;
  if (options.file.empty()) {
    const int64_t bytes = must(base::parse_bytes(options.file_size));
    scratch.emplace(must(probe::ScratchFile::write(options.directory, bytes, 600'000)));
    path = scratch->path();
  }
  io::ReaderOptions reading{.queue_depth = options.depth,
                            .read_bytes = sizes.read_bytes,
                            .direct = !options.buffered,
                            .max_requests = options.depth};
  if (options.backend != "any") {
    reading.backend = options.backend == "threads" ? io::Backend::kThreads : io::Backend::kUring;
  }
  const int64_t memory_bytes = sizes.request_bytes * options.depth;
  const std::unique_ptr<std::byte, decltype(&std::free)> memory(
      static_cast<std::byte*>(
          std::aligned_alloc(io::kDirectAlignment, static_cast<size_t>(memory_bytes))),
      &std::free);
  const auto reader = must(io::Reader::create(reading));
  const io::FileId file = must(reader->open(path));
  sizes.file_bytes = static_cast<int64_t>(std::filesystem::file_size(path));
  if (memory == nullptr || sizes.file_bytes < sizes.request_bytes) {
    std::fprintf(stderr, "io_bench: no memory for the requests, or a file smaller than one\n");
    return 1;
  }
  if (!options.unregistered) {
    must(reader->register_memory({memory.get(), static_cast<size_t>(memory_bytes)}));
  }
  report(options, sizes, *reader, reader->direct(file),
         read_for(*reader, file, sizes, options, memory.get()));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App program{"Reads a file with sluice's reader and prints GB/s"};
  Options options;
  program.add_option("file", options.file, "to read (default: one that is made)");
  program.add_option("--directory", options.directory, "where one is made");
  program.add_option("--file-size", options.file_size, "of the one that is made");
  program.add_option("--size", options.request_size, "of a request");
  program.add_option("--read-size", options.read_size, "of a device read (default: --size)");
  program.add_option("--depth", options.depth, "requests under way")->check(CLI::Range(1, 1024));
  program.add_option("--seconds", options.seconds)->check(CLI::Range(0.01, 3600.0));
  program.add_option("--backend", options.backend)
      ->check(CLI::IsMember({"any", "uring", "threads"}));
  program.add_option("--pattern", options.pattern)->check(CLI::IsMember({"sequential", "random"}));
  program.add_flag("--buffered", options.buffered, "through the page cache");
  program.add_flag("--unregistered", options.unregistered, "memory unknown to the kernel");
  program.add_flag("--json", options.json);
  CLI11_PARSE(program, argc, argv);
  return run(options);
}
