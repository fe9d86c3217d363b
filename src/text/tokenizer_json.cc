// Reads tokenizer.json: every field understood, checked against the others, or refused by name.

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "text/byte_level.h"
#include "text/tokenizer_parts.h"

namespace nemotron {
namespace {

namespace dom = simdjson::dom;

constexpr size_t kMaxDepth = 64;
constexpr size_t kMaxAddedBytes = 16 << 20;  // published files have a few hundred thousand; each takes 20 in the finder

class Reader {
 public:
  explicit Reader(const std::string& file) : file_(file) {}

  std::unique_ptr<TokenizerParts> read(std::string_view json) {
    const dom::object root = parse(json);
    const Json version = small(root, "version"), truncation = small(root, "truncation"),
               padding = small(root, "padding");
    if (!version.is_null() && version != Json("1.0")) {
      fail("version", "not supported", version.dump(), "\"1.0\"");
    }
    // transformers leaves both to the caller; the library itself would apply them.
    for (const auto& [name, value] : {std::pair{"truncation", &truncation}, {"padding", &padding}}) {
      if (!value->is_null()) fail(name, "not supported", value->dump(), "null", "set it to null in the file");
    }
    read_model(object_at(root, "model"));
    const Json normalizer = small(root, "normalizer"), pretokenizer = small(root, "pre_tokenizer");
    const Json added = small(root, "added_tokens"), decoder = small(root, "decoder"),
               post = small(root, "post_processor");
    check_decoder(decoder);
    auto parts = std::unique_ptr<TokenizerParts>(new TokenizerParts{
        .vocabulary = std::move(vocabulary_),
        .bpe = std::move(bpe_),
        .normalizer = Normalizer(&normalizer, place("normalizer")),
        .pretokenizer = Pretokenizer(&pretokenizer, place("pre_tokenizer")),
        .raw_tokens = {},
        .normalized_tokens = {},
        .template_pieces = {},
        .special = {},
        .decoded_bytes = {},
    });
    read_added_tokens(added, *parts);
    if (!post.is_null()) read_post_processor(post, "post_processor", 0, *parts);
    if (parts->template_pieces.empty()) parts->template_pieces.push_back({});
    return parts;
  }

 private:
  std::string place(std::string_view field) const { return fmt::format("{}: {}", file_, field); }

  [[noreturn]] void fail(std::string_view field, std::string what, std::string found = {}, std::string expected = {},
                         std::string hint = {}) const {
    throw Error({.what = std::move(what),
                 .where = place(field),
                 .expected = std::move(expected),
                 .found = printable(found),
                 .hint = std::move(hint)});
  }

  // --- JSON ---------------------------------------------------------------------------------------------------------

  dom::object parse(std::string_view json) {
    auto status = parser_.allocate(std::max<size_t>(json.size(), 1), kMaxDepth);
    dom::element root;
    if (!status) status = parser_.parse(json.data(), json.size()).get(root);
    dom::object object;
    if (!status) status = root.get_object().get(object);
    if (status) {
      throw Error(
          {.what = status == simdjson::DEPTH_ERROR      ? fmt::format("JSON is nested deeper than {} levels", kMaxDepth)
                   : status == simdjson::INCORRECT_TYPE ? "the file is no JSON object"
                                                        : fmt::format("malformed JSON: {}", error_message(status)),
           .where = file_,
           .hint = "the file may be cut short or damaged; fetch it again"});
    }
    return object;
  }

  static std::optional<dom::element> find(const dom::object& object, std::string_view key) {
    dom::element found;
    if (object.at_key(key).get(found)) return std::nullopt;
    return found;
  }

  dom::object object_at(const dom::object& parent, const std::string& key) const {
    dom::object out;
    const auto found = find(parent, key);
    if (!found || found->get_object().get(out))
      fail(key, found ? "wrong kind of value" : "a field is missing", "", "an object");
    return out;
  }

  // A value that is not large, as Json; null where there is none.
  Json small(const dom::object& parent, std::string_view key) const {
    const auto found = find(parent, key);
    return found ? parse_json(std::string(simdjson::minify(*found)), place(key), kMaxDepth) : Json();
  }

  // --- model --------------------------------------------------------------------------------------------------------

  void read_model(const dom::object& model) {
    const Json type = small(model, "type");
    if (!(type.is_null() || type == Json("BPE"))) {
      fail("model.type " + (type.is_string() ? type.string() : type.dump()), "not supported", "", "BPE");
    }
    if (const Json dropout = small(model, "dropout");
        !(dropout.is_null() || (dropout.is_number() && dropout.number() == 0))) {
      fail("model.dropout", "not supported: encoding would be random", dropout.dump(), "null");
    }
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      const Json affix = small(model, key);
      if (!(affix.is_null() || affix == Json("")))
        fail(std::string("model.") + key, "not supported", affix.dump(), "null");
    }
    read_vocabulary(object_at(model, "vocab"));
    const Json unknown = small(model, "unk_token");
    if (!(unknown.is_null() || unknown.is_string()))
      fail("model.unk_token", "wrong kind of value", unknown.dump(), "a string");
    Bpe::Options options;
    options.ignore_merges = flag(model, "ignore_merges");
    options.fuse_unknown = flag(model, "fuse_unk");
    if (unknown.is_string()) {
      options.unknown = vocabulary_.find(unknown.string());
      options.refuse_unknown = options.unknown == Vocabulary::kNone;
    }
    // With an entry for every byte there is nothing to fall back from.
    if (flag(model, "byte_fallback") && !has_every_byte()) {
      fail("model.byte_fallback", "not supported: this is a SentencePiece vocabulary, without an entry for every byte",
           "true", "byte-level BPE");
    }
    read_merges(model, options);
  }

  bool flag(const dom::object& model, const char* key) const {
    const Json value = small(model, key);
    if (!(value.is_null() || value.is_bool())) {
      fail(std::string("model.") + key, "wrong kind of value", value.dump(), "true or false");
    }
    return value.is_bool() && value.boolean();
  }

  bool has_every_byte() const {
    for (int b = 0; b < 256; ++b) {
      const char byte = char(b);
      if (vocabulary_.find_bytes({&byte, 1}) == Vocabulary::kNone) return false;
    }
    return true;
  }

  void read_vocabulary(const dom::object& vocab) {
    vocabulary_.reserve(vocab.size());
    for (const auto& [content, value] : vocab) {
      uint64_t id = 0;
      if (value.get_uint64().get(id) || id >= uint64_t(Vocabulary::kMaxIds)) {
        fail("model.vocab", "an id that is no id", fmt::format("{} for '{}'", small_text(value), content),
             fmt::format("an integer from 0 to {}", Vocabulary::kMaxIds - 1));
      }
      add_entry("model.vocab", int32_t(id), content, true);
    }
  }

  static std::string small_text(const dom::element& value) {
    return value.is_number() ? std::string(simdjson::minify(value)) : "no number";
  }

  void add_entry(const char* field, int32_t id, std::string_view content, bool in_model) {
    switch (vocabulary_.add(id, content, in_model)) {
      case Vocabulary::Added::kDone:
        return;
      case Vocabulary::Added::kContentTaken:
        fail(field, "an entry that is there twice", fmt::format("'{}'", content));
      case Vocabulary::Added::kIdTaken:
        fail(field, fmt::format("two contents with the id {}", id),
             fmt::format("'{}' and '{}'", vocabulary_.content(id), content));
    }
  }

  void read_merges(const dom::object& model, const Bpe::Options& options) {
    dom::array merges;
    const auto found = find(model, "merges");
    if (!found || found->get_array().get(merges)) {
      fail("model.merges", found ? "wrong kind of value" : "a field is missing", "", "a list");
    }
    bpe_ = Bpe(vocabulary_, merges.size(), options);
    size_t index = 0;
    for (const dom::element& merge : merges) add_merge(merge, index++);
  }

  void add_merge(const dom::element& merge, size_t index) {
    std::string_view left, right, line;
    dom::array pair;
    if (!merge.get_string().get(line)) {
      if (line.starts_with("#version")) return;
      const size_t space = line.find(' ');
      if (space == line.npos || line.find(' ', space + 1) != line.npos) bad_merge(line, index);
      left = line.substr(0, space);
      right = line.substr(space + 1);
    } else if (merge.get_array().get(pair) || pair.size() != 2 || pair.at(0).get_string().get(left) ||
               pair.at(1).get_string().get(right)) {
      bad_merge(simdjson::minify(merge), index);
    }
    const int32_t left_id = entry_of(left, index), right_id = entry_of(right, index);
    bpe_.add_merge(left_id, right_id, joined_entry(left_id, right_id, index));
  }

  [[noreturn]] void bad_merge(std::string_view text, size_t index) const {
    fail("model.merges", fmt::format("merge {} is no pair of entries", index), std::string(text.substr(0, 200)),
         "\"a b\" or [\"a\", \"b\"]");
  }

  int32_t entry_of(std::string_view content, size_t index) const {
    const int32_t id = vocabulary_.find(content);
    if (id == Vocabulary::kNone) {
      fail("model.merges", "an entry that is not in the vocabulary", fmt::format("'{}' in merge {}", content, index));
    }
    return id;
  }

  int32_t joined_entry(int32_t left, int32_t right, size_t index) {
    if (!vocabulary_.is_plain(left) || !vocabulary_.is_plain(right)) {
      return entry_of(std::string(vocabulary_.content(left)) + std::string(vocabulary_.content(right)), index);
    }
    joined_.assign(vocabulary_.bytes(left)).append(vocabulary_.bytes(right));
    const int32_t id = vocabulary_.find_bytes(joined_);
    return id == Vocabulary::kNone ? entry_of(stand_ins_of(joined_), index) : id;
  }

  // --- added tokens -------------------------------------------------------------------------------------------------

  void read_added_tokens(const Json& list, TokenizerParts& parts) {
    if (list.is_null()) return finish_special({}, parts);
    if (!list.is_array()) fail("added_tokens", "wrong kind of value", list.kind(), "a list");
    std::vector<AddedToken> tokens;
    for (size_t i = 0; i < list.array().size(); ++i) tokens.push_back(added_token(list.array()[i], i));
    refuse_shared_ids(tokens);

    vocabulary_ = std::move(parts.vocabulary);
    auto next_id = int32_t(vocabulary_.count());  // as the library counts, whatever the file says
    std::map<std::string_view, const AddedToken*> seen;
    std::set<std::string, std::less<>> special;
    size_t added_bytes = 0;
    for (const AddedToken& token : tokens) {
      if (token.content.empty()) continue;  // as the library does
      if (const auto [before, is_new] = seen.try_emplace(token.content, &token); !is_new) {
        if (same(*before->second, token)) continue;
        fail("added_tokens", "an entry that is there twice, with other flags", fmt::format("'{}'", token.content));
      }
      int32_t id = vocabulary_.find(token.content);
      if (id == Vocabulary::kNone) {
        id = next_id++;
        if (id == token.id) add_entry("added_tokens", id, token.content, false);
      }
      if (id != token.id) {
        fail("added_tokens", fmt::format("the id of '{}' is not the one it gets", token.content),
             std::to_string(token.id), fmt::format("{}, from the vocabulary", id),
             "the tokenizers library would ignore the id in the file");
      }
      if (token.special) special.insert(token.content);
      added_bytes += token.content.size();
      if (added_bytes > kMaxAddedBytes) fail("added_tokens", "more than 16 MiB of contents");
      add_to_finder(token, parts);
    }
    parts.raw_tokens.finish();
    parts.normalized_tokens.finish();
    parts.vocabulary = std::move(vocabulary_);
    finish_special(special, parts);
  }

  AddedToken added_token(const Json& entry, size_t index) const {
    const std::string field = fmt::format("added_tokens[{}]", index);
    const auto member = [&](const char* key) -> const Json& {
      const Json* found = entry.find(key);
      if (!found) fail(field + "." + key, "a field is missing");
      return *found;
    };
    const auto boolean = [&](const char* key) {
      const Json& value = member(key);
      if (!value.is_bool()) fail(field + "." + key, "wrong kind of value", value.kind(), "boolean");
      return value.boolean();
    };
    const Json& content = member("content");
    const Json& id = member("id");
    if (!content.is_string()) fail(field + ".content", "wrong kind of value", content.kind(), "string");
    if (!id.is_int() || id.integer() < 0 || id.integer() >= Vocabulary::kMaxIds) {
      fail(field + ".id", "an id that is no id", id.dump(),
           fmt::format("an integer from 0 to {}", Vocabulary::kMaxIds - 1));
    }
    return {.content = content.string(),
            .id = int32_t(id.integer()),
            .single_word = boolean("single_word"),
            .lstrip = boolean("lstrip"),
            .rstrip = boolean("rstrip"),
            .normalized = boolean("normalized"),
            .special = boolean("special")};
  }

  static bool same(const AddedToken& a, const AddedToken& b) {
    return a.id == b.id && a.single_word == b.single_word && a.lstrip == b.lstrip && a.rstrip == b.rstrip &&
           a.normalized == b.normalized && a.special == b.special;
  }

  void refuse_shared_ids(const std::vector<AddedToken>& tokens) const {
    std::map<int32_t, const std::string*> content_of;
    for (const AddedToken& token : tokens) {
      const auto [before, is_new] = content_of.try_emplace(token.id, &token.content);
      if (!is_new && *before->second != token.content) {
        fail("added_tokens", fmt::format("two contents with the id {}", token.id),
             fmt::format("'{}' and '{}'", *before->second, token.content));
      }
    }
  }

  void add_to_finder(const AddedToken& token, TokenizerParts& parts) {
    std::string buffer;
    const std::string text(token.normalized ? parts.normalizer.apply(token.content, buffer) : token.content);
    if (text.empty()) fail("added_tokens", "a content that normalizing leaves empty", fmt::format("id {}", token.id));
    if (!(token.normalized ? parts.normalized_tokens : parts.raw_tokens).add(text, token)) {
      fail("added_tokens", "two tokens that look the same once normalized", fmt::format("'{}'", token.content));
    }
    if (text != token.content) normalized_[token.id] = text;
  }

  // A token is decoded as it is looked for, and is special if that text is the content of a special token.
  void finish_special(const std::set<std::string, std::less<>>& contents, TokenizerParts& parts) const {
    parts.special.assign(size_t(parts.vocabulary.size()), false);
    for (const std::string& content : contents) parts.special[size_t(parts.vocabulary.find(content))] = true;
    for (const auto& [id, text] : normalized_) {
      parts.special[size_t(id)] = contents.contains(text);
      std::string& bytes = parts.decoded_bytes[id];
      if (!append_bytes_of(text, bytes)) bytes = text;
    }
  }

  // --- decoder, post-processor --------------------------------------------------------------------------------------

  static std::string type_of(const Json& description) {
    const Json* type = description.find("type");
    return type && type->is_string() ? type->string() : "";
  }

  // ByteLevel, alone or as the first of a Sequence whose other members leave one text as it is.
  void check_decoder(const Json& decoder) const {
    const std::string type = type_of(decoder);
    if (type == "ByteLevel") return;
    const Json* steps = decoder.find("decoders");
    if (type != "Sequence" || !steps || !steps->is_array()) {
      fail(decoder.is_null() ? "decoder" : "decoder.type " + type, "not supported", decoder.is_null() ? "null" : "",
           "ByteLevel");
    }
    for (size_t i = 0; i < steps->array().size(); ++i) {
      const std::string step = type_of(steps->array()[i]);
      if (step != (i == 0 ? "ByteLevel" : "Fuse")) {
        fail(fmt::format("decoder.decoders[{}].type {}", i, step), "not supported", "", i == 0 ? "ByteLevel" : "Fuse");
      }
    }
    if (steps->array().empty()) fail("decoder.decoders", "an empty list", "", "ByteLevel");
  }

  void read_post_processor(const Json& description, const std::string& field, int depth, TokenizerParts& parts) {
    const std::string type = type_of(description);
    if (type == "ByteLevel") return;  // it moves offsets, no ids
    if (type == "TemplateProcessing") return read_template(description, field, parts);
    if (type == "RobertaProcessing" || type == "BertProcessing") return read_cls_and_sep(description, field, parts);
    const Json* steps = description.find("processors");
    if (type != "Sequence" || !steps || !steps->is_array() || depth == 8) {
      fail(field + ".type " + type, "not supported", "",
           "ByteLevel, TemplateProcessing, RobertaProcessing, BertProcessing or a Sequence of these");
    }
    for (size_t i = 0; i < steps->array().size(); ++i) {
      read_post_processor(steps->array()[i], fmt::format("{}.processors[{}]", field, i), depth + 1, parts);
    }
  }

  void read_template(const Json& description, const std::string& field, TokenizerParts& parts) {
    if (!parts.template_pieces.empty()) fail(field, "a second processor that adds tokens", "", "one");
    const Json* single = description.find("single");
    const Json* special = description.find("special_tokens");
    if (!single || !single->is_array() || !special || !special->is_object()) {
      fail(field, "a field is missing", "", "single, a list, and special_tokens, an object");
    }
    if (single->array().size() > 64) fail(field + ".single", "more than 64 pieces");
    for (const Json& piece : single->array()) {
      const Json* sequence = piece.find("Sequence");
      const Json* token = piece.find("SpecialToken");
      const Json* id = sequence ? sequence->find("id") : token ? token->find("id") : nullptr;
      if (!id || !id->is_string()) fail(field + ".single", "no piece of a template", piece.dump());
      if (sequence && id->string() != "A")
        fail(field + ".single", "a sequence that is not the text", id->string(), "A");
      if (sequence)
        parts.template_pieces.push_back({});
      else
        parts.template_pieces.push_back(
            {.is_text = false, .special = special_ids(*special, id->string(), field, parts)});
    }
    // An empty template would be taken for none.
    if (parts.template_pieces.empty()) parts.template_pieces.push_back({.is_text = false});
  }

  // One token before the text and one after it, each given as ["<s>", 0].
  void read_cls_and_sep(const Json& description, const std::string& field, TokenizerParts& parts) {
    if (!parts.template_pieces.empty()) fail(field, "a second processor that adds tokens", "", "one");
    const auto piece = [&](const char* key) {
      const Json* pair = description.find(key);
      if (!pair || !pair->is_array() || pair->array().size() != 2) {
        fail(field + "." + key, pair ? "wrong kind of value" : "a field is missing", "", "a token and its id");
      }
      parts.template_pieces.push_back({.is_text = false, .special = {entry_with_id(pair->array()[1], field, parts)}});
    };
    piece("cls");
    parts.template_pieces.push_back({});
    piece("sep");
  }

  int32_t entry_with_id(const Json& id, const std::string& field, const TokenizerParts& parts) const {
    if (!id.is_int() || id.integer() < 0 || id.integer() >= parts.vocabulary.size() ||
        !parts.vocabulary.has(int32_t(id.integer()))) {
      fail(field, "an id without an entry in the vocabulary", id.dump());
    }
    return int32_t(id.integer());
  }

  std::vector<int32_t> special_ids(const Json& tokens, const std::string& name, const std::string& field,
                                   const TokenizerParts& parts) const {
    const Json* token = tokens.find(name);
    const Json* ids = token ? token->find("ids") : nullptr;
    if (!ids || !ids->is_array()) fail(field + ".special_tokens", "a special token that is not described", name);
    std::vector<int32_t> out;
    for (const Json& id : ids->array()) out.push_back(entry_with_id(id, field + ".special_tokens", parts));
    return out;
  }

  const std::string& file_;
  dom::parser parser_;
  Vocabulary vocabulary_;
  Bpe bpe_;
  std::string joined_;
  std::map<int32_t, std::string> normalized_;  // of added tokens that normalizing changes
};

}  // namespace

std::unique_ptr<TokenizerParts> read_tokenizer(std::string_view json, const std::string& where) {
  return Reader(where).read(json);
}

}  // namespace nemotron
