// The tables of the database, as steps that bring an older file up to date. Used by database.cc.
#pragma once

#include <span>
#include <string_view>

namespace emulator::store {

// Step n (from 1) turns version n - 1 into version n. A step that was released never changes: what
// must be otherwise is a further step. Each may hold several statements.
std::span<const std::string_view> schema_steps();

}  // namespace emulator::store
