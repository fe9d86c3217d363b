// Statements of the template language; expressions are in expressions.cc.

#include "text/jinja/parser.h"

#include <algorithm>

#include "text/jinja/expressions.h"

namespace nemotron::jinja {
namespace {

class Parser {
 public:
  explicit Parser(std::string_view source) : stream_(tokenize(source)), expressions_(stream_) {}

  SyntaxTree run() {
    SyntaxTree tree;
    tree.body = body({});
    tree.constant_count = expressions_.constant_count();
    tree.has_blocks = has_blocks_;
    return tree;
  }

 private:
  using EndTags = std::vector<const char*>;

  // Up to a tag out of `ends`, whose name is then the current token; with no ends, up to the end of the template.
  Body body(const EndTags& ends) {
    Nesting nesting(stream_);
    Body out;
    if (!ends.empty()) open_.push_back(&ends);
    while (!stream_.is(TokenKind::end)) {
      const uint32_t offset = stream_.current().offset;
      if (stream_.is(TokenKind::data)) {
        auto text = std::make_unique<Text>(offset);
        text->text = stream_.take().text;
        out.push_back(std::move(text));
      } else if (stream_.is(TokenKind::variable_begin)) {
        stream_.take();
        auto print = std::make_unique<Print>(offset);
        print->value = expressions_.tuple();
        stream_.expect(TokenKind::variable_end);
        out.push_back(std::move(print));
      } else {
        stream_.expect(TokenKind::block_begin);
        const bool at_end = std::any_of(ends.begin(), ends.end(), [&](const char* e) { return stream_.is_name(e); });
        if (at_end) {
          open_.pop_back();
          return out;
        }
        statement(out);
        stream_.expect(TokenKind::block_end);
      }
    }
    if (!ends.empty()) unexpected_tag("Unexpected end of template.");
    return out;
  }

  // The body of the tag just read, up to and without its end tag's name.
  Body inner(const EndTags& ends) {
    if (stream_.is_op(":")) stream_.take();
    stream_.expect(TokenKind::block_end);
    return body(ends);
  }
  Body inner_and_end(const char* end) {
    const EndTags ends = {end};
    Body out = inner(ends);
    stream_.take();
    return out;
  }

  [[noreturn]] void unexpected_tag(std::string message) {
    if (!open_.empty()) {
      message += " Jinja was looking for the following tags: ";
      for (size_t i = 0; i < open_.back()->size(); ++i) {
        message += std::string(i ? " or " : "") + "'" + (*open_.back())[i] + "'";
      }
      message += ".";
    }
    if (!tags_.empty()) message += " The innermost block that needs to be closed is '" + tags_.back() + "'.";
    stream_.fail(message);
  }

  void statement(Body& out) {
    if (!stream_.is(TokenKind::name)) stream_.fail("tag name expected");
    const std::string tag = stream_.current().text;
    const uint32_t offset = stream_.current().offset;
    using Rule = StatementPtr (Parser::*)(uint32_t);
    static constexpr std::pair<const char*, Rule> kRules[] = {
        {"for", &Parser::for_loop},
        {"if", &Parser::condition},
        {"set", &Parser::set},
        {"macro", &Parser::macro},
        {"call", &Parser::call_block},
        {"filter", &Parser::filter_block},
        {"with", &Parser::with},
        {"generation", &Parser::generation},
        {"autoescape", &Parser::autoescape},
        {"block", &Parser::block},
        {"include", &Parser::include},
        {"import", &Parser::import},
        {"from", &Parser::from_import},
        {"extends", &Parser::extends},
        {"break", &Parser::break_loop},
        {"continue", &Parser::continue_loop},
    };
    if (tag == "print") {
      stream_.take();
      print(out);
      return;
    }
    for (const auto& [name, rule] : kRules) {
      if (tag != name) continue;
      tags_.push_back(tag);
      stream_.take();
      out.push_back((this->*rule)(offset));
      tags_.pop_back();
      return;
    }
    unexpected_tag("Encountered unknown tag '" + tag + "'.");
  }

  void print(Body& out) {
    bool first = true;
    while (!stream_.is(TokenKind::block_end)) {
      if (!first) stream_.expect_op(",");
      first = false;
      auto statement = std::make_unique<Print>(stream_.current().offset);
      statement->value = expressions_.expression();
      out.push_back(std::move(statement));
    }
  }

  StatementPtr for_loop(uint32_t offset) {
    auto out = std::make_unique<For>(offset);
    out->target = expressions_.target(false);
    stream_.expect_name("in");
    out->items = expressions_.tuple(false);
    if (stream_.skip_name("if")) {
      out->test = expressions_.expression();
      out->test_target = expressions_.copy_target(*out->target);
    }
    out->recursive = stream_.skip_name("recursive");
    const EndTags ends = {"endfor", "else"};
    out->body = inner(ends);
    if (stream_.take().text == "else") out->otherwise = inner_and_end("endfor");
    return out;
  }

  StatementPtr condition(uint32_t offset) {
    auto out = std::make_unique<Condition>(offset);
    for (;;) {
      ExprPtr test = expressions_.tuple(false);
      const EndTags ends = {"elif", "else", "endif"};
      Body then = inner(ends);
      out->branches.emplace_back(std::move(test), std::move(then));
      const std::string tag = stream_.take().text;
      if (tag == "elif") continue;
      if (tag == "else") out->otherwise = inner_and_end("endif");
      return out;
    }
  }

  StatementPtr set(uint32_t offset) {
    ExprPtr target = expressions_.target(true);
    if (stream_.skip_op("=")) {
      auto out = std::make_unique<Set>(offset);
      out->target = std::move(target);
      out->value = expressions_.tuple();
      return out;
    }
    auto out = std::make_unique<SetBlock>(offset);
    out->target = std::move(target);
    if (stream_.is_op("|")) out->filter = expressions_.filters(nullptr, false);
    out->body = inner_and_end("endset");
    return out;
  }

  void signature(MacroBody& macro) {
    stream_.expect_op("(");
    while (!stream_.is_op(")")) {
      if (!macro.parameters.empty()) stream_.expect_op(",");
      ExprPtr parameter = expressions_.name_target(NameUse::parameter);
      const std::string& name = static_cast<Name&>(*parameter).name;
      for (const ExprPtr& other : macro.parameters) {
        if (static_cast<Name&>(*other).name == name) {
          throw ParseFailure{"duplicate argument '" + name + "' in function definition", parameter->offset,
                             FailureKind::value};
        }
      }
      if (macro.parameters.size() >= 1000) stream_.fail("too many parameters");
      if (stream_.skip_op("="))
        macro.defaults.push_back(expressions_.expression());
      else if (!macro.defaults.empty())
        stream_.fail("non-default argument follows default argument");
      macro.parameters.push_back(std::move(parameter));
    }
    stream_.expect_op(")");
  }

  StatementPtr macro(uint32_t offset) {
    auto out = std::make_unique<MacroStatement>(offset);
    out->target = expressions_.name_target(NameUse::store);
    out->macro.name = static_cast<Name&>(*out->target).name;
    signature(out->macro);
    out->macro.body = inner_and_end("endmacro");
    return out;
  }

  StatementPtr call_block(uint32_t offset) {
    auto out = std::make_unique<CallBlock>(offset);
    if (stream_.is_op("(")) signature(out->macro);
    out->call = expressions_.expression();
    if (out->call->kind != ExprKind::call) stream_.fail("expected call");
    out->macro.body = inner_and_end("endcall");
    return out;
  }

  StatementPtr generation(uint32_t offset) {
    auto out = std::make_unique<CallBlock>(offset);
    out->macro.body = inner_and_end("endgeneration");
    return out;
  }

  StatementPtr filter_block(uint32_t offset) {
    auto out = std::make_unique<FilterBlock>(offset);
    out->filter = expressions_.filters(nullptr, true);
    out->body = inner_and_end("endfilter");
    return out;
  }

  StatementPtr with(uint32_t offset) {
    auto out = std::make_unique<With>(offset);
    while (!stream_.is(TokenKind::block_end)) {
      if (!out->assignments.empty()) stream_.expect_op(",");
      ExprPtr target = expressions_.target(false);
      stream_.expect_op("=");
      ExprPtr value = expressions_.expression();
      out->assignments.emplace_back(std::move(target), std::move(value));
    }
    out->body = inner_and_end("endwith");
    return out;
  }

  StatementPtr autoescape(uint32_t offset) {
    auto out = std::make_unique<Autoescape>(offset);
    out->enabled = expressions_.expression();
    out->body = inner_and_end("endautoescape");
    return out;
  }

  StatementPtr block(uint32_t offset) {
    auto out = std::make_unique<Block>(offset);
    out->name = stream_.expect(TokenKind::name).text;
    if (std::find(blocks_.begin(), blocks_.end(), out->name) != blocks_.end()) {
      stream_.fail("block '" + out->name + "' defined twice");
    }
    if (blocks_.size() >= 1000) stream_.fail("too many blocks");
    blocks_.push_back(out->name);
    has_blocks_ = true;
    out->scoped = stream_.skip_name("scoped");
    out->required = stream_.skip_name("required");
    out->body = inner_and_end("endblock");
    if (stream_.is_name(out->name.c_str())) stream_.take();
    return out;
  }

  void skip_context() {
    if ((stream_.is_name("with") || stream_.is_name("without")) && stream_.next_is_name("context")) {
      stream_.take();
      stream_.take();
    }
  }

  StatementPtr include(uint32_t offset) {
    auto out = std::make_unique<Load>(offset);
    out->source = expressions_.expression();
    if (stream_.is_name("ignore") && stream_.next_is_name("missing")) {
      stream_.take();
      stream_.take();
    }
    skip_context();
    return out;
  }

  StatementPtr extends(uint32_t offset) {
    auto out = std::make_unique<Load>(offset);
    out->source = expressions_.expression();
    return out;
  }

  StatementPtr import(uint32_t offset) {
    auto out = std::make_unique<Load>(offset);
    out->source = expressions_.expression();
    stream_.expect_name("as");
    out->targets.push_back(expressions_.name_target(NameUse::store));
    skip_context();
    return out;
  }

  StatementPtr from_import(uint32_t offset) {
    auto out = std::make_unique<Load>(offset);
    out->source = expressions_.expression();
    stream_.expect_name("import");
    do {
      if (!out->targets.empty() && (stream_.is_name("with") || stream_.is_name("without"))) break;
      ExprPtr name = expressions_.name_target(NameUse::store);
      if (stream_.skip_name("as")) name = expressions_.name_target(NameUse::store);
      out->targets.push_back(std::move(name));
    } while (stream_.skip_op(","));
    skip_context();
    return out;
  }

  StatementPtr break_loop(uint32_t offset) { return std::make_unique<Break>(offset); }
  StatementPtr continue_loop(uint32_t offset) { return std::make_unique<Continue>(offset); }

  TokenStream stream_;
  ExpressionParser expressions_;
  std::vector<const EndTags*> open_;  // what each open body waits for
  std::vector<std::string> tags_;     // open tags, innermost last
  std::vector<std::string> blocks_;
  bool has_blocks_ = false;
};

}  // namespace

SyntaxTree parse(std::string_view source) { return Parser(source).run(); }

}  // namespace nemotron::jinja
