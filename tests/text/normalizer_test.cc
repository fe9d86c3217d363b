// Normal forms: the reference's, and linear however many marks follow one another.

#include "text/normalizer.h"

#include <gtest/gtest.h>

#include <ctime>

#include "golden.h"

namespace nemotron {
namespace {

constexpr NormalForm kForms[] = {NormalForm::kNfc, NormalForm::kNfd, NormalForm::kNfkc, NormalForm::kNfkd};

TEST(Normalizer, forms_are_those_of_the_reference) {
  const Json rows = test_data("text/normal_forms.json");
  for (const Json& row : rows.array()) {
    for (size_t i = 0; i < 4; ++i) {
      EXPECT_EQ(normalize(row.array()[0].string(), kForms[i]), row.array()[i + 1].string())
          << row.dump() << " form " << i;
    }
  }
}

TEST(Normalizer, forms_are_idempotent) {
  const Json rows = test_data("text/normal_forms.json");
  for (const Json& row : rows.array()) {
    for (const NormalForm form : kForms) {
      const std::string once = normalize(row.array()[0].string(), form);
      EXPECT_EQ(normalize(once, form), once);
    }
  }
}

TEST(Normalizer, leaves_alone_what_cannot_change_and_applies_in_order) {
  const Normalizer none(nullptr, "f");
  const Json
      nfc = parse_json(R"({"type": "NFC"})", ""),
      both = parse_json(
          R"({"type": "Sequence", "normalizers": [{"type": "NFKD"}, {"type": "Sequence", "normalizers": [{"type": "NFC"}]}]})",
          "");
  std::string buffer;
  const std::string text = "plain é";
  EXPECT_EQ(Normalizer(&nfc, "f").apply(text, buffer).data(), text.data());
  EXPECT_EQ(none.apply("e\u0301", buffer), "e\u0301");
  EXPECT_EQ(Normalizer(&nfc, "f").apply("e\u0301", buffer), "é");
  EXPECT_EQ(Normalizer(&both, "f").apply("ﬁ\u00e9", buffer), "fi\u00e9");
}

// Sorting marks by exchanging neighbours would take 10^10 steps.
TEST(Normalizer, orders_a_long_run_of_marks_in_linear_time) {
  std::string marks = "a";
  for (int i = 0; i < 100'000; ++i) marks += i < 50'000 ? "\u0301" : "\u0323";
  const std::string sorted = normalize(marks, NormalForm::kNfd);
  EXPECT_EQ(sorted.substr(0, 5), "a\u0323\u0323");
  EXPECT_EQ(sorted.size(), marks.size());
}

}  // namespace
}  // namespace nemotron
