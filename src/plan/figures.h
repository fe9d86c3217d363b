// Figures as people read them: grouped digits, KiB and GiB, thousands and millions of tokens.

#pragma once

#include <cstdint>
#include <string>

namespace nemotron {

std::string grouped(uint64_t n);                   // "247,222,108,160"
std::string in_billions(uint64_t n);               // "120.67 B", "4.60 M"
std::string in_bytes(double bytes);                // "163.1 MiB", "4096 B"
std::string in_units(double n, const char* unit);  // "25.5 GFLOP", "8.00 TB/s": powers of 1000, three digits
std::string in_seconds(double seconds);            // "12.3 ms"
std::string in_tokens(uint64_t n);                 // "1M", "64k", "8,193": whole powers of 1024 are shortened
std::string plain_number(double n);                // "1,234" or "12.3" or "0.0123"

}  // namespace nemotron
