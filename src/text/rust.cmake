# The Rust static library behind ffi.h, built by cargo with the versions that rust/Cargo.lock pins.
# Debug, sanitizer and release trees share one target directory: the crates are built once.
set(SLUICE_CARGO_TARGET_DIR ${PROJECT_SOURCE_DIR}/build/cargo CACHE PATH
  "Where cargo keeps what it builds; trees may share it")
set(SLUICE_CARGO_JOBS "" CACHE STRING "Jobs that cargo may use; empty lets it choose")

set(rust_dir ${CMAKE_CURRENT_SOURCE_DIR}/rust)
file(STRINGS ${rust_dir}/Cargo.toml rust_minimum REGEX "^rust-version = ")
string(REGEX MATCH "[0-9]+(\\.[0-9]+)+" rust_minimum "${rust_minimum}")
if(NOT rust_minimum)
  message(FATAL_ERROR "${rust_dir}/Cargo.toml names no rust-version")
endif()
set(rust_wanted "sluice needs Rust ${rust_minimum} or newer; run tools/setup, or see https://rustup.rs")

find_program(SLUICE_CARGO NAMES cargo cargo-web HINTS $ENV{HOME}/.cargo/bin)
if(NOT SLUICE_CARGO)
  message(FATAL_ERROR "cargo is missing: ${rust_wanted}")
endif()
execute_process(COMMAND ${SLUICE_CARGO} --version OUTPUT_VARIABLE cargo_version ERROR_QUIET)
string(REGEX MATCH "[0-9]+\\.[0-9]+\\.[0-9]+" cargo_version "${cargo_version}")
if(cargo_version VERSION_LESS rust_minimum)
  message(FATAL_ERROR "${SLUICE_CARGO} is version ${cargo_version}: ${rust_wanted}")
endif()

set(rust_archive ${SLUICE_CARGO_TARGET_DIR}/release/libsluice_text.a)
file(GLOB rust_sources CONFIGURE_DEPENDS ${rust_dir}/src/*.rs)
set(cargo_jobs)
if(SLUICE_CARGO_JOBS)
  set(cargo_jobs --jobs ${SLUICE_CARGO_JOBS})
endif()

# cargo leaves an archive alone that is up to date, so the rule's own stamp says when it last ran.
set(rust_stamp ${CMAKE_CURRENT_BINARY_DIR}/sluice_text.stamp)
add_custom_command(
  OUTPUT ${rust_stamp}
  BYPRODUCTS ${rust_archive}
  COMMAND ${SLUICE_CARGO} build --quiet --release --locked ${cargo_jobs}
    --manifest-path ${rust_dir}/Cargo.toml --target-dir ${SLUICE_CARGO_TARGET_DIR}
  COMMAND ${CMAKE_COMMAND} -E touch ${rust_stamp}
  DEPENDS ${rust_sources} ${rust_dir}/Cargo.toml ${rust_dir}/Cargo.lock
  WORKING_DIRECTORY ${rust_dir}
  COMMENT "Building the Rust library sluice_text with cargo"
  VERBATIM)
add_custom_target(sluice_text_cargo DEPENDS ${rust_stamp})

add_library(sluice_text_rust STATIC IMPORTED GLOBAL)
set_target_properties(sluice_text_rust PROPERTIES
  IMPORTED_LOCATION ${rust_archive}
  INTERFACE_LINK_LIBRARIES "${CMAKE_DL_LIBS};m;Threads::Threads")
add_dependencies(sluice_text_rust sluice_text_cargo)
