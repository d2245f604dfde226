// Ownership of the Rust library's handles and replies. Internal to this folder.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "text/ffi.h"

namespace sluice::text {

template <class T, void (*release)(T*)>
struct Release {
  void operator()(T* handle) const { release(handle); }
};

template <class T, void (*release)(T*)>
using Handle = std::unique_ptr<T, Release<T, release>>;

inline sluice_text_slice slice(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// A reply that frees itself.
class Reply {
 public:
  Reply() = default;
  ~Reply() { sluice_text_reply_free(&raw_); }
  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;

  sluice_text_reply* out() { return &raw_; }
  std::string_view view() const {
    return raw_.size == 0 ? std::string_view()
                          : std::string_view(reinterpret_cast<const char*>(raw_.data), raw_.size);
  }
  std::string text() const { return std::string(view()); }
  Error error(int32_t status) const;

 private:
  sluice_text_reply raw_ = {nullptr, 0, 0};
};

// The Error of a limit met: what has how many bytes, and the limit's name.
Error over_limit(const std::string& what, size_t bytes, size_t limit_bytes, const char* limit);

// A whole file, at most `limit_bytes` long. kNotFound when there is none.
Result<std::string> read_file(const std::string& path, size_t limit_bytes, const char* limit);

}  // namespace sluice::text
