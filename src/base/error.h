// The three kinds of failure: a caller's mistake is a Result with an Error; a bug aborts through
// SLUICE_CHECK (base/check.h); a fault in a lane travels in the task's event as an Error.
#pragma once

#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/check.h"

namespace sluice::base {

enum class ErrorCode {
  kInvalid,      // the caller's input, file, flag or request is wrong
  kUnsupported,  // well formed, but not something sluice does; refused by name
  kNotFound,
  kCorrupt,  // a file contradicts itself or its checksum
  kNoRoom,   // memory, KV cache or disk does not hold it
  kIo,       // the operating system refused a read, write or map
  kCancelled,
  kTimeout,
  kFault,  // a lane, device or peer failed while running
};

// The stable lower-case name of a code, as it stands in JSON: "invalid", "no_room".
const char* name(ErrorCode code);

// One sentence for the user: what went wrong, where, and what to do.
struct Error {
  ErrorCode code = ErrorCode::kInvalid;
  std::string message;

  // The same error, told from further out: "model.safetensors: tensor 'x' ..."
  Error in(const std::string& where) const { return {code, where + ": " + message}; }
  bool operator==(const Error&) const = default;
};

// A value, or the Error that stood in its way. Reading the wrong one is a bug and aborts.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & { return get(); }
  T&& value() && { return std::move(get()); }
  const T& value() const& { return const_cast<Result*>(this)->get(); }
  T& operator*() & { return get(); }
  T&& operator*() && { return std::move(get()); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &get(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& {
    SLUICE_CHECK(!ok(), "error() of a Result that holds a value");
    return std::get<1>(state_);
  }
  Error&& error() && {
    SLUICE_CHECK(!ok(), "error() of a Result that holds a value");
    return std::get<1>(std::move(state_));
  }

 private:
  T& get() {
    SLUICE_CHECK(ok(), std::get<1>(state_).message.c_str());
    return std::get<0>(state_);
  }
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), ok_(false) {}

  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  const Error& error() const {
    SLUICE_CHECK(!ok_, "error() of a Result that holds a value");
    return error_;
  }

 private:
  Error error_;
  bool ok_ = true;
};

using Status = Result<void>;

}  // namespace sluice::base

namespace sluice {
using base::Error;
using base::ErrorCode;
using base::Result;
using base::Status;
}  // namespace sluice

#define SLUICE_CONCAT_(a, b) a##b
#define SLUICE_CONCAT(a, b) SLUICE_CONCAT_(a, b)

// SLUICE_TRY(expr): returns the error of `expr` (a Result) from the enclosing function.
#define SLUICE_TRY(expr)                                                  \
  do {                                                                    \
    if (auto sluice_try = (expr); !sluice_try) return sluice_try.error(); \
  } while (0)

// SLUICE_ASSIGN(auto x, expr): x is the value of `expr`, or its error is returned.
#define SLUICE_ASSIGN(declaration, expr)                               \
  auto SLUICE_CONCAT(sluice_result_, __LINE__) = (expr);               \
  if (!SLUICE_CONCAT(sluice_result_, __LINE__))                        \
    return std::move(SLUICE_CONCAT(sluice_result_, __LINE__)).error(); \
  declaration = std::move(SLUICE_CONCAT(sluice_result_, __LINE__)).value()
