// Markup: the five characters HTML reserves, and striptags.

#include "text/jinja/markup.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "text/jinja/print.h"
#include "text/jinja/unicode.h"

namespace nemotron::jinja {

std::string escape_html(Heap& heap, const std::string& text) {
  heap.scans(text.size());
  heap.allow(text.size());
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&#34;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string escaped(Heap& heap, const Value& value) {
  return is_markup(value) ? text_of(value) : escape_html(heap, str(value));
}

std::string escaped(const Value& value) { return escaped(value.object()->heap(), value); }

namespace {

// The entities that escaping makes and those common in text; a numeric reference gives its character.
std::string unescape(const std::string& text) {
  struct Entity {
    const char* name;
    const char* text;
  };
  static constexpr std::array<Entity, 12> kEntities = {{{"amp;", "&"},
                                                        {"lt;", "<"},
                                                        {"gt;", ">"},
                                                        {"quot;", "\""},
                                                        {"apos;", "'"},
                                                        {"nbsp;", "\u00a0"},
                                                        {"raquo;", "»"},
                                                        {"laquo;", "«"},
                                                        {"copy;", "©"},
                                                        {"hellip;", "…"},
                                                        {"ndash;", "–"},
                                                        {"mdash;", "—"}}};
  std::string out;
  for (size_t at = 0; at < text.size();) {
    if (text[at] != '&') {
      out += text[at++];
      continue;
    }
    const auto known = std::find_if(kEntities.begin(), kEntities.end(), [&](const Entity& e) {
      return text.compare(at + 1, std::char_traits<char>::length(e.name), e.name) == 0;
    });
    if (known != kEntities.end()) {
      out += known->text;
      at += 1 + std::char_traits<char>::length(known->name);
      continue;
    }
    size_t end = at + 1;
    uint32_t code = 0;
    if (end < text.size() && text[end] == '#') {
      ++end;
      const bool hex = end < text.size() && (text[end] | 0x20) == 'x';
      end += hex;
      const size_t digits = end;
      for (; end < text.size() && end < digits + 8; ++end) {
        const char c = text[end];
        if (c >= '0' && c <= '9')
          code = code * (hex ? 16 : 10) + uint32_t(c - '0');
        else if (hex && (c | 0x20) >= 'a' && (c | 0x20) <= 'f')
          code = code * 16 + uint32_t((c | 0x20) - 'a' + 10);
        else
          break;
      }
      if (end == digits || code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
        code = 0;
      else if (end < text.size() && text[end] == ';')
        ++end;
    }
    if (code) {
      append_utf8(out, code);
      at = end;
    } else {
      out += text[at++];
    }
  }
  return out;
}

std::string collapse_spaces(const std::string& text) {
  std::string out;
  bool pending = false;
  for (size_t at = 0; at < text.size();) {
    const size_t from = at;
    if (is_space(next_code_point(text, at))) {
      pending = !out.empty();
      continue;
    }
    if (pending) out += ' ';
    pending = false;
    out.append(text, from, at - from);
  }
  return out;
}

}  // namespace

std::string strip_tags(Heap& heap, const std::string& text) {
  heap.scans(text.size());
  std::string kept;
  size_t at = 0;
  for (size_t start; (start = text.find('<', at)) != text.npos;) {
    const bool comment = text.compare(start, 4, "<!--") == 0;
    const size_t end = comment ? text.find("-->", start + 4) : text.find('>', start);
    if (end == text.npos) break;
    kept.append(text, at, start - at);
    at = end + (comment ? 3 : 1);
  }
  kept.append(text, at);
  return unescape(collapse_spaces(kept));
}

}  // namespace nemotron::jinja
