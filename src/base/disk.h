// How fast files can be read from where they lie, past the system's cache.

#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

namespace nemotron {

// Bytes a second of reads of about `size` bytes at random places in the files, several at a time, for about `seconds`.
// 0: it could not be measured, because the file system does not read past its cache or the files are too small.
double random_read_speed(std::span<const std::filesystem::path> files, uint64_t size, double seconds);

}  // namespace nemotron
