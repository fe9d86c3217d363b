// `nemotron tokenize`: text to token ids and back, one text or one per line.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/base64.h"
#include "base/error.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "text/tokenizer.h"

namespace nemotron::cli {
namespace {

struct TokenizeOptions {
  std::string folder;
  bool special = false, jsonl = false, decode = false, skip_special = false;
};

// One line of standard input without its newline, which is the byte 0x0A and nothing else; false at the end.
bool read_line(std::string& line) {
  line.clear();
  for (int c; (c = getc_unlocked(stdin)) != EOF;) {
    if (c == '\n') return true;
    line += char(c);
  }
  if (std::ferror(stdin)) throw Error({.what = "standard input cannot be read"});
  return !line.empty();
}

void print_line(const std::string& line) {
  if (std::fwrite(line.data(), 1, line.size(), stdout) != line.size() || std::fputc('\n', stdout) == EOF) {
    throw Error({.what = "standard output cannot be written"});
  }
}

std::string list_of(const std::vector<int32_t>& ids) {
  std::string out = "[";
  for (const int32_t id : ids) {
    if (out.size() > 1) out += ", ";
    out += std::to_string(id);
  }
  return out + "]";
}

std::string encode_line(const Tokenizer& tokenizer, const TokenizeOptions& options, const Json& request) {
  const Json* text = request.find("text");
  const Json* base64 = request.find("text_b64");
  const Json* given = text ? text : base64;
  if (!given || !given->is_string() || (text && base64)) {
    throw Error(
        {.what = "no text", .expected = "{\"text\": …} or {\"text_b64\": …}", .found = printable(request.dump())});
  }
  const std::string bytes = text ? text->string() : decode_base64(base64->string());
  return "{\"ids\": " + list_of(tokenizer.encode(bytes, options.special)) + "}";
}

std::string decode_line(const Tokenizer& tokenizer, const TokenizeOptions& options, const Json& request) {
  const Json* list = request.is_array() ? &request : request.find("ids");
  if (!list || !list->is_array()) {
    throw Error({.what = "no ids", .expected = "{\"ids\": […]} or a list of ids", .found = printable(request.dump())});
  }
  std::vector<int32_t> ids;
  for (const Json& id : list->array()) {
    if (!id.is_int() || id.integer() < 0 || id.integer() >= tokenizer.vocabulary_size()) {
      throw Error({.what = "no token id",
                   .expected = "an integer from 0 to " + std::to_string(tokenizer.vocabulary_size() - 1),
                   .found = id.dump()});
    }
    ids.push_back(int32_t(id.integer()));
  }
  return "{\"text\": " + json_quote(tokenizer.decode(ids, options.skip_special)) + "}";
}

// Answers every line of standard input with one line. A line that cannot be answered ends the run and names its number.
void answer_lines(const Tokenizer& tokenizer, const TokenizeOptions& options) {
  std::string line;
  for (size_t number = 1; read_line(line); ++number) {
    const std::string where = "standard input, line " + std::to_string(number);
    try {
      const Json request = parse_json(line, "");
      print_line((options.decode ? decode_line : encode_line)(tokenizer, options, request));
    } catch (const Error& error) {
      ErrorFields fields = error.fields();
      fields.where = where + (fields.where.empty() ? "" : ": " + fields.where);
      throw Error(std::move(fields));
    }
  }
}

int tokenize(const TokenizeOptions& options) {
  const Tokenizer tokenizer(options.folder);
  if (options.jsonl || options.decode)
    answer_lines(tokenizer, options);
  else
    print_line(list_of(tokenizer.encode(read_file("-"), options.special)));
  if (std::fflush(stdout) != 0) throw Error({.what = "standard output cannot be written"});
  return 0;
}

}  // namespace

std::function<int()> define_tokenize(CLI::App& app) {
  const auto options = std::make_shared<TokenizeOptions>();
  app.add_option("DIR", options->folder, "model folder, with tokenizer.json")->required();
  CLI::Option* special =
      app.add_flag("--special", options->special, "add the tokens that the post-processor adds, such as <s>");
  app.add_flag("--jsonl", options->jsonl,
               "read lines {\"text\": …} or {\"text_b64\": …}, answer {\"ids\": […]} for each");
  CLI::Option* decode =
      app.add_flag("--decode", options->decode, "read lines {\"ids\": […]}, answer {\"text\": …} for each");
  app.add_flag("--skip-special", options->skip_special, "with --decode: leave special tokens out")->needs(decode);
  special->excludes(decode);
  return [options] { return tokenize(*options); };
}

}  // namespace nemotron::cli
