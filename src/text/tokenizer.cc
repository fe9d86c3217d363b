// Tokenizer: the way of a text through its parts, and back.

#include "text/tokenizer.h"

#include <filesystem>

#include "base/error.h"
#include "base/map.h"
#include "base/utf8.h"
#include "text/detokenizer.h"
#include "text/tokenizer_parts.h"

namespace nemotron {
namespace {

constexpr uint64_t kMaxFile = uint64_t{512} << 20;  // the largest published tokenizer.json has 33 MB
constexpr size_t kMaxText = size_t{1} << 30;        // positions in a text are 32 bits wide
constexpr size_t kMaxIdle = 64;                     // workspaces kept, 2 MB each

}  // namespace

std::unique_ptr<EncodeWorkspace> WorkspacePool::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      auto workspace = std::move(idle_.back());
      idle_.pop_back();
      return workspace;
    }
  }
  return std::make_unique<EncodeWorkspace>();
}

void WorkspacePool::give_back(std::unique_ptr<EncodeWorkspace> workspace) {
  const std::lock_guard lock(mutex_);
  if (idle_.size() < kMaxIdle) idle_.push_back(std::move(workspace));
}

Tokenizer::Tokenizer(const std::string& folder) {
  const std::string path = folder + "/tokenizer.json";
  if (!std::filesystem::exists(path)) {
    throw Error({.what = "there is no tokenizer",
                 .where = path,
                 .expected = "a tokenizer.json",
                 .hint =
                     "where a folder has tokenizer.model, tiktoken.model, or vocab.json and merges.txt, transformers "
                     "makes one: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)"});
  }
  parts_ = read_tokenizer(read_file(path, kMaxFile), path);
}

Tokenizer Tokenizer::parse(std::string_view json, const std::string& where) {
  return Tokenizer(read_tokenizer(json, where));
}

Tokenizer::Tokenizer(std::unique_ptr<TokenizerParts> parts) : parts_(std::move(parts)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool add_special) const {
  if (text.size() > kMaxText)
    throw Error({.what = "the text is too long to encode at once", .expected = "at most 1 GiB"});
  std::string repaired;
  if (find_invalid_utf8(text) != text.size()) text = repaired = replace_invalid_utf8(text);
  if (text.size() > kMaxText)
    throw Error({.what = "the text is too long to encode at once", .expected = "at most 1 GiB"});

  TokenizerParts& p = *parts_;
  auto workspace = p.pool.take();
  workspace->pretokenizer.budget = RegexBudget(text.size());
  std::vector<int32_t> ids;
  const auto encode_word = [&](std::string_view word) { p.bpe.encode(p.vocabulary, word, workspace->bpe, ids); };
  p.raw_tokens.split(text, [&](std::string_view raw, int32_t raw_id) {
    if (raw_id >= 0) return ids.push_back(raw_id);
    const std::string_view normalized = p.normalizer.apply(raw, workspace->normalized);
    p.normalized_tokens.split(normalized, [&](std::string_view piece, int32_t id) {
      if (id >= 0) return ids.push_back(id);
      p.pretokenizer.split(piece, workspace->pretokenizer, encode_word);
    });
  });
  p.pool.give_back(std::move(workspace));

  if (p.template_pieces.size() == 1 && p.template_pieces[0].is_text) return ids;
  std::vector<int32_t> whole;
  for (const TemplatePiece& piece : p.template_pieces) {
    if (piece.is_text)
      whole.insert(whole.end(), ids.begin(), ids.end());
    else if (add_special)
      whole.insert(whole.end(), piece.special.begin(), piece.special.end());
  }
  return whole;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  std::string joined;
  for (const int32_t id : ids) {
    if (!(skip_special && is_special(id))) joined += bytes(id);
  }
  return find_invalid_utf8(joined) == joined.size() ? joined : replace_invalid_utf8(joined);
}

int32_t Tokenizer::vocabulary_size() const { return parts_->vocabulary.size(); }

bool Tokenizer::has(int32_t id) const { return parts_->vocabulary.has(id); }

bool Tokenizer::is_special(int32_t id) const { return has(id) && parts_->special[size_t(id)]; }

std::string_view Tokenizer::content(int32_t id) const { return has(id) ? parts_->vocabulary.content(id) : ""; }

std::string_view Tokenizer::bytes(int32_t id) const {
  if (!has(id)) return {};
  if (!parts_->decoded_bytes.empty()) {
    if (const auto found = parts_->decoded_bytes.find(id); found != parts_->decoded_bytes.end()) return found->second;
  }
  return parts_->vocabulary.bytes(id);
}

std::optional<int32_t> Tokenizer::id_of(std::string_view content) const {
  const int32_t id = parts_->vocabulary.find(content);
  return id == Vocabulary::kNone ? std::nullopt : std::optional(id);
}

}  // namespace nemotron
