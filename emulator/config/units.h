// Durations and sizes as people write them. Pure. Used by the settings table and the commands.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "emulator/base/result.h"

namespace emulator::config {

// "250ms", "30s", "5m", "2h", "1d", "1h30m", "1.5s"; a bare number is seconds. kInvalidArgument
// names what is wrong.
base::Result<std::chrono::milliseconds> parse_duration(std::string_view text);

// Bytes: "512", "64KiB", "64k", "10MB", "1.5GiB". k, M, G, T and their iB forms are powers of 1024,
// kB, MB, ... of 1000.
base::Result<std::uint64_t> parse_size(std::string_view text);

// 0..65535 in decimal.
base::Result<std::uint16_t> parse_port(std::string_view text);

// The name in `known` nearest to `wrong`, or empty when none is near (at most a third of its
// letters differ).
std::string_view nearest(std::string_view wrong, const std::vector<std::string_view>& known);

}  // namespace emulator::config
