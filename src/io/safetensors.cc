// Reads safetensors headers and indexes, trusting nothing in them, and writes safetensors files.

#include "io/safetensors.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <bit>
#include <map>

#include "base/checked.h"
#include "base/error.h"
#include "base/json.h"

namespace nemotron {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors are read as they lie in the file");

constexpr uint64_t kMostHeader = 100'000'000;   // the reference library's limit
constexpr uint64_t kMostIndex = 1'000'000'000;  // bytes of model.safetensors.index.json
constexpr size_t kMostShards = 10'000;
constexpr size_t kMostDimensions = 8;
constexpr size_t kJsonDepth = 16;  // a header needs 3

struct DtypeInfo {
  const char* name;
  size_t size;
};
constexpr std::array<DtypeInfo, 17> kDtypes = {{{"BOOL", 1},
                                                {"U8", 1},
                                                {"I8", 1},
                                                {"F8_E5M2", 1},
                                                {"F8_E4M3", 1},
                                                {"F8_E8M0", 1},
                                                {"U16", 2},
                                                {"I16", 2},
                                                {"F16", 2},
                                                {"BF16", 2},
                                                {"U32", 4},
                                                {"I32", 4},
                                                {"F32", 4},
                                                {"U64", 8},
                                                {"I64", 8},
                                                {"F64", 8},
                                                {"C64", 8}}};

using Element = simdjson::dom::element;
using Object = simdjson::dom::object;

Object parse_object(simdjson::dom::parser& parser, const simdjson::padded_string& text, const std::string& where) {
  Element root;
  auto status = parser.allocate(std::max<size_t>(text.size(), 1), kJsonDepth);
  if (!status) status = parser.parse(text).get(root);
  Object object;
  if (!status) status = root.get(object);
  if (status) {
    throw Error({.what = status == simdjson::DEPTH_ERROR
                             ? fmt::format("JSON is nested deeper than {} levels", kJsonDepth)
                             : fmt::format("malformed JSON: {}", simdjson::error_message(status)),
                 .where = where,
                 .hint = "the file may be cut short or damaged; fetch it again"});
  }
  return object;
}

// The `where` of an Error, put together only when there is one.
struct Place {
  const std::filesystem::path& file;
  std::string_view tensor;
  operator std::string() const { return fmt::format("{}: tensor '{}'", file.string(), printable(std::string(tensor))); }
};

// A member that must be there once.
template <class Where>
Element member(const Object& object, std::string_view key, const Where& where) {
  Element found;
  int count = 0;
  for (const auto field : object) {
    if (field.key != key) continue;
    found = field.value;
    ++count;
  }
  if (count != 1)
    throw Error({.what = fmt::format("'{}' is {}", key, count ? "given twice" : "missing"), .where = where});
  return found;
}

// A list of at most `most` integers from 0 to 2^63-1.
std::vector<uint64_t> sizes(const Element& value, const char* name, size_t most, const Place& where) {
  const auto refuse = [&](const std::string& found) -> void {
    throw Error({.what = fmt::format("bad '{}'", name),
                 .where = where,
                 .expected = fmt::format("a list of at most {} integers that are not negative", most),
                 .found = found});
  };
  simdjson::dom::array list;
  if (value.get(list)) refuse(simdjson::minify(value).substr(0, 100));
  std::vector<uint64_t> out;
  for (const Element item : list) {
    uint64_t n = 0;
    if (item.get(n) || n > uint64_t(std::numeric_limits<index>::max())) refuse(simdjson::minify(item).substr(0, 100));
    if (out.size() == most) refuse("more");
    out.push_back(n);
  }
  return out;
}

// The tensor of one header entry; `offset` counts from the start of the data, which is `data_size` bytes.
Tensor parse_tensor(std::string_view name, const Element& value, uint64_t data_size,
                    const std::filesystem::path& file) {
  const Place where{file, name};
  Object entry;
  if (value.get(entry)) throw Error({.what = "bad header entry", .where = where, .expected = "an object"});

  Tensor t;
  t.name = name;
  std::string_view dtype;
  if (member(entry, "dtype", where).get(dtype))
    throw Error({.what = "bad 'dtype'", .where = where, .expected = "a string"});
  const std::optional<Dtype> known = find_dtype(dtype);
  if (!known) {
    throw Error({.what = "unknown dtype",
                 .where = where,
                 .expected = "a dtype such as BF16, F32, F8_E4M3 or U8",
                 .found = printable(std::string(dtype), 40)});
  }
  t.dtype = *known;

  std::optional<uint64_t> bytes = dtype_size(t.dtype);
  for (const uint64_t n : sizes(member(entry, "shape", where), "shape", kMostDimensions, where)) {
    t.shape.push_back(index(n));
    if (bytes) bytes = checked_multiply(*bytes, n);
  }
  if (!bytes) {
    throw Error({.what = "the size of the shape overflows",
                 .where = where,
                 .expected = "fewer than 2^64 bytes",
                 .found = shape_text(t.shape)});
  }
  const std::vector<uint64_t> offsets = sizes(member(entry, "data_offsets", where), "data_offsets", 2, where);
  if (offsets.size() != 2 || offsets[0] > offsets[1]) {
    throw Error({.what = "bad 'data_offsets'",
                 .where = where,
                 .expected = "[begin, end] with begin <= end",
                 .found = shape_text({offsets.begin(), offsets.end()})});
  }
  t.offset = offsets[0];
  t.bytes = offsets[1] - offsets[0];
  if (t.bytes != *bytes) {
    throw Error({.what = "data_offsets do not fit the shape",
                 .where = where,
                 .expected = fmt::format("{} bytes for {} {}", *bytes, dtype_name(t.dtype), shape_text(t.shape)),
                 .found = fmt::format("{} bytes", t.bytes)});
  }
  if (offsets[1] > data_size) {
    throw Error({.what = "the tensor reaches beyond the end of the file",
                 .where = where,
                 .expected = fmt::format("data of at least {} bytes", offsets[1]),
                 .found = fmt::format("{} bytes", data_size),
                 .hint = "the file may be cut short; fetch it again"});
  }
  return t;
}

Metadata parse_metadata(const Element& value, const std::string& where) {
  Object object;
  if (value.get(object))
    throw Error({.what = "bad '__metadata__'", .where = where, .expected = "an object of strings"});
  Metadata out;
  for (const auto field : object) {
    std::string_view text;
    if (field.value.get(text))
      throw Error({.what = "bad '__metadata__'", .where = where, .expected = "an object of strings"});
    out.emplace_back(field.key, text);
  }
  return out;
}

// The tensors, sorted by place, cover 0 .. data_size exactly.
void check_coverage(std::span<const Tensor> tensors, uint64_t data_size, const std::filesystem::path& file) {
  uint64_t end = 0;
  const Tensor* last = nullptr;
  for (const Tensor& t : tensors) {
    if (t.offset < end) {
      if (last->name == t.name) throw Error({.what = "the name is given to two tensors", .where = Place{file, t.name}});
      throw Error({.what = fmt::format("overlaps tensor '{}'", printable(last->name)),
                   .where = Place{file, t.name},
                   .expected = fmt::format("data from byte {} on", end),
                   .found = fmt::format("byte {}", t.offset)});
    }
    if (t.offset > end) {
      throw Error({.what = "a hole lies before the tensor",
                   .where = Place{file, t.name},
                   .expected = fmt::format("data from byte {} on", end),
                   .found = fmt::format("byte {}", t.offset)});
    }
    end = t.offset + t.bytes;
    last = &t;
  }
  if (end != data_size) {
    throw Error({.what = "bytes after the last tensor belong to none",
                 .where = file.string(),
                 .expected = fmt::format("{} bytes of data", end),
                 .found = fmt::format("{} bytes", data_size)});
  }
}

simdjson::padded_string read_header(const File& file) {
  const std::string where = file.path().string();
  uint64_t length = 0;
  if (file.size() < sizeof length) {
    throw Error({.what = "no safetensors file",
                 .where = where,
                 .expected = "at least 8 bytes",
                 .found = fmt::format("{} bytes", file.size()),
                 .hint = "fetch it again"});
  }
  file.read(0, &length, sizeof length);
  if (length > kMostHeader) {
    throw Error({.what = "the header is too long",
                 .where = where,
                 .expected = fmt::format("at most {} bytes", kMostHeader),
                 .found = fmt::format("{} bytes", length),
                 .hint = "this may be no safetensors file"});
  }
  if (length > file.size() - sizeof length) {
    throw Error({.what = "the header is cut short",
                 .where = where,
                 .expected = fmt::format("{} bytes", length),
                 .found = fmt::format("{} bytes", file.size() - sizeof length),
                 .hint = "fetch the file again"});
  }
  simdjson::padded_string text(length);
  file.read(sizeof length, text.data(), length);
  return text;
}

}  // namespace

const char* dtype_name(Dtype d) { return kDtypes[size_t(d)].name; }
size_t dtype_size(Dtype d) { return kDtypes[size_t(d)].size; }

std::optional<Dtype> find_dtype(std::string_view name) {
  for (size_t i = 0; i < kDtypes.size(); ++i)
    if (kDtypes[i].name == name) return Dtype(i);
  return {};
}

std::string shape_text(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

void Safetensors::add_file(const std::filesystem::path& path) {
  const File file(path);
  const simdjson::padded_string text = read_header(file);
  const uint64_t data_begin = sizeof(uint64_t) + text.size(), data_size = file.size() - data_begin;

  simdjson::dom::parser parser;
  const Object header = parse_object(parser, text, path.string() + ": header");
  const size_t first = tensors_.size();
  bool has_metadata = false;
  for (const auto field : header) {
    if (field.key == "__metadata__") {
      if (has_metadata) throw Error({.what = "'__metadata__' is given twice", .where = path.string()});
      has_metadata = true;
      Metadata metadata = parse_metadata(field.value, path.string());
      if (files_.empty()) metadata_ = std::move(metadata);
    } else {
      tensors_.push_back(parse_tensor(field.key, field.value, data_size, path));
    }
  }
  const auto begin = tensors_.begin() + std::ptrdiff_t(first);
  std::sort(begin, tensors_.end(), [](const Tensor& a, const Tensor& b) {
    return std::pair(a.offset, a.offset + a.bytes) < std::pair(b.offset, b.offset + b.bytes);
  });
  check_coverage({begin, tensors_.end()}, data_size, path);
  for (auto t = begin; t != tensors_.end(); ++t) {
    t->file = uint32_t(files_.size());
    t->offset += data_begin;
  }
  files_.push_back(path);
  maps_.push_back(file.map());
}

void Safetensors::index_names() {
  std::vector<std::string_view> names;
  names.reserve(tensors_.size());
  for (const Tensor& t : tensors_) names.push_back(t.name);
  names_ = NameIndex(names);
  if (const size_t twice = names_.duplicate(); twice != NameIndex::kNone) {
    const Tensor& t = tensors_[twice];
    throw Error({.what = "the name is given to two tensors",
                 .where = where(t),
                 .found = fmt::format("another one in {}", files_[find(t.name)->file].filename().string())});
  }
}

Safetensors Safetensors::open(const std::filesystem::path& file) {
  Safetensors out;
  out.add_file(file);
  out.index_names();
  return out;
}

// Opens the shards of an index, and compares the two: each tensor is in the shard that the index says, and listed
// there.
void Safetensors::check_index(const std::filesystem::path& path, std::string_view json,
                              std::vector<std::string>& warnings) {
  const std::string where = path.string();
  simdjson::dom::parser parser;
  const simdjson::padded_string text(json);
  const Object root = parse_object(parser, text, where);
  Object weight_map;
  if (member(root, "weight_map", where).get(weight_map))
    throw Error({.what = "bad 'weight_map'", .where = where, .expected = "an object of file names"});

  std::map<std::string_view, uint32_t> shards;  // sorted, so that the order of the index does not matter
  std::vector<std::pair<std::string_view, std::string_view>> listed;
  for (const auto field : weight_map) {
    std::string_view shard;
    if (field.value.get(shard) || shard.empty() || shard[0] == '.' ||
        shard.find_first_of(std::string_view("/\\\0", 3)) != shard.npos) {
      throw Error({.what = fmt::format("bad shard of tensor '{}'", printable(std::string(field.key))),
                   .where = where,
                   .expected = "the name of a file in the same folder",
                   .found = printable(std::string(simdjson::minify(field.value)), 100)});
    }
    shards.emplace(shard, 0);
    listed.emplace_back(field.key, shard);
    if (shards.size() > kMostShards)
      throw Error({.what = "too many shards", .where = where, .expected = fmt::format("at most {}", kMostShards)});
  }

  std::vector<std::string_view> missing;
  for (const auto& [shard, number] : shards)
    if (!path_exists(path.parent_path() / shard)) missing.push_back(shard);
  if (!missing.empty()) {
    throw Error({.what = fmt::format("{} of {} shards {} missing", missing.size(), shards.size(),
                                     missing.size() == 1 ? "is" : "are"),
                 .where = where,
                 .expected = "the file " + (path.parent_path() / missing[0]).string(),
                 .found = "nothing",
                 .hint = "fetch the folder again"});
  }
  for (auto& [shard, number] : shards) {
    number = uint32_t(files_.size());
    add_file(path.parent_path() / shard);
  }
  index_names();

  std::vector<bool> seen(tensors_.size());
  for (const auto& [name, shard] : listed) {
    const Tensor* t = find(name);
    if (!t || t->file != shards[shard]) {
      throw Error({.what = fmt::format("tensor '{}' is not where the index says", printable(std::string(name))),
                   .where = where,
                   .expected = std::string(shard),
                   .found = t ? files_[t->file].filename().string() : "it nowhere",
                   .hint = "the index and the shards are of different models; fetch the folder again"});
    }
    const size_t place = size_t(t - tensors_.data());
    if (seen[place])
      throw Error({.what = fmt::format("tensor '{}' is listed twice", printable(std::string(name))), .where = where});
    seen[place] = true;
  }
  if (const auto at = std::find(seen.begin(), seen.end(), false); at != seen.end()) {
    const Tensor& t = tensors_[size_t(at - seen.begin())];
    throw Error({.what = fmt::format("the index {} does not list the tensor", path.filename().string()),
                 .where = this->where(t),
                 .hint = "the index and the shards are of different models; fetch the folder again"});
  }

  uint64_t declared = 0;
  if (!root.at_pointer("/metadata/total_size").get(declared) && declared != total_bytes()) {
    warnings.push_back(
        fmt::format("{}: metadata.total_size is {} bytes, the tensors are {}", where, declared, total_bytes()));
  }
}

Safetensors Safetensors::open_folder(const std::filesystem::path& folder, std::vector<std::string>& warnings) {
  const std::filesystem::path single = folder / "model.safetensors", list = folder / "model.safetensors.index.json";
  Safetensors out;
  if (path_exists(list)) {
    out.check_index(list, read_file(list, kMostIndex), warnings);
    const bool used = std::find(out.files_.begin(), out.files_.end(), single) != out.files_.end();
    if (!used && path_exists(single)) {
      throw Error({.what = "two sets of weights in one folder",
                   .where = folder.string(),
                   .expected = "model.safetensors or model.safetensors.index.json",
                   .found = "both",
                   .hint = "remove the one that is not wanted"});
    }
  } else if (path_exists(single)) {
    out.add_file(single);
    out.index_names();
  } else {
    throw Error({.what = "no weights in the folder",
                 .where = folder.string(),
                 .expected = "model.safetensors or model.safetensors.index.json",
                 .found = "neither",
                 .hint = "give a folder as published, with its safetensors files"});
  }
  return out;
}

const Tensor* Safetensors::find(std::string_view name) const {
  const size_t place = names_.find(name);
  return place == NameIndex::kNone ? nullptr : &tensors_[place];
}

std::vector<std::span<const uint8_t>> Safetensors::mapped() const {
  std::vector<std::span<const uint8_t>> out;
  for (const Map& map : maps_) out.emplace_back(map.data(), map.size());
  return out;
}

uint64_t Safetensors::total_bytes() const {
  uint64_t sum = 0;  // each file's part was checked against the size of the file
  for (const Tensor& t : tensors_) sum += t.bytes;
  return sum;
}

std::string Safetensors::where(const Tensor& t) const { return Place{files_[t.file], t.name}; }

void write_safetensors(const std::filesystem::path& path, std::span<const TensorData> tensors,
                       const Metadata& metadata) {
  std::string header = "{";
  if (!metadata.empty()) {
    header += "\"__metadata__\":{";
    for (const char* comma = ""; const auto& [key, value] : metadata) {
      header += comma + json_quote(key) + ":" + json_quote(value);
      comma = ",";
    }
    header += "}";
  }
  std::vector<size_t> bytes;
  uint64_t begin = 0;
  for (const TensorData& t : tensors) {
    bytes.push_back(dtype_size(t.dtype));
    for (const index n : t.shape) bytes.back() *= size_t(n);
    if (header.size() > 1) header += ',';
    header += fmt::format("{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}", json_quote(t.name),
                          dtype_name(t.dtype), fmt::join(t.shape, ","), begin, begin + bytes.back());
    begin += bytes.back();
  }
  header += '}';
  header.resize((header.size() + 7) / 8 * 8, ' ');  // the data starts at a multiple of 8

  OutputFile file(path);
  const uint64_t length = header.size();
  file.write(&length, sizeof length);
  file.write(header.data(), header.size());
  for (size_t i = 0; i < tensors.size(); ++i) file.write(tensors[i].data, bytes[i]);
  file.commit();
}

}  // namespace nemotron
