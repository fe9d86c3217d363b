// Base64 (RFC 4648, section 4) to bytes.

#pragma once

#include <string>
#include <string_view>

namespace nemotron {

// Padding is required, white space and stray bits are refused: throws Error saying at which character.
std::string decode_base64(std::string_view text);

}  // namespace nemotron
