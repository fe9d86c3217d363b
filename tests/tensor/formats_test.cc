// The codecs against reference vectors, against arithmetic in double, and against themselves over every code.

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>

#include "data.h"
#include "formats/element.h"
#include "formats/scaled.h"
#include "tensor/tensor.h"

namespace nemotron {
namespace {

Json vectors(const std::string& name) { return test_data("formats/" + name + ".json"); }

template <class Codec>
void expect_decodes(const Json& codes) {
  for (size_t c = 0; c < codes.array().size(); ++c) {
    const Json& expected = codes.array()[c];
    const float value = Codec::decode(typename Codec::Code(c));
    if (expected.string() == "nan")
      EXPECT_TRUE(std::isnan(value)) << c;
    else
      EXPECT_EQ(float_bits(value), hex_word(expected)) << c;
  }
}

// Column `column` of each row is the code that `encode` must give for column 0.
template <class Encode>
void expect_encodes(const Json& rows, size_t column, Encode encode) {
  ASSERT_FALSE(rows.array().empty());
  for (const Json& row : rows.array()) {
    const float x = hex_float(row.array().at(0));
    if (row.array().at(column).is_string()) continue;  // "nan": any NaN will do, see nan_stays_nan
    EXPECT_EQ(int64_t{encode(x)}, row.array().at(column).integer()) << row.dump();
  }
}

// Every code that is no NaN comes back from the value it stands for, and every such value comes back from its code.
template <class Codec>
void expect_round_trip(int codes) {
  std::set<uint32_t> values;
  for (int c = 0; c < codes; ++c) {
    const float value = Codec::decode(typename Codec::Code(c));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(Codec::decode(Codec::encode(value)))) << c;
      continue;
    }
    EXPECT_EQ(int{Codec::encode(value)}, c);
    EXPECT_TRUE(values.insert(float_bits(value)).second) << c << " stands for the value of another code";
  }
}

TEST(formats, e4m3_round_trips_every_code) {
  for (int c = 0; c < 256; ++c) {
    if ((c & 0x7F) != 0x7F)
      EXPECT_EQ(int{E4m3::encode(E4m3::decode(uint8_t(c)))}, c);
    else
      EXPECT_TRUE(std::isnan(E4m3::decode(uint8_t(c))));
  }
  EXPECT_EQ(int{E4m3::encode(std::nanf(""))}, 0x7F);
  EXPECT_EQ(int{E4m3::encode(-std::nanf(""))}, 0x7F);
}

TEST(formats, e5m2_round_trips_every_finite_code) {
  for (int c = 0; c < 256; ++c) {
    const float value = E5m2::decode(uint8_t(c));
    if (std::isfinite(value)) {
      EXPECT_EQ(int{E5m2::encode(value)}, c);
      EXPECT_EQ(int{E5m2::encode_ieee(value)}, c);
    } else if (std::isinf(value)) {
      EXPECT_EQ(int{E5m2::encode(value)}, c - 1);  // saturates at the largest finite code
      EXPECT_EQ(int{E5m2::encode_ieee(value)}, c);
    } else {
      EXPECT_TRUE(std::isnan(E5m2::decode(E5m2::encode(value))));
      EXPECT_TRUE(std::isnan(E5m2::decode(E5m2::encode_ieee(value))));
    }
  }
}

TEST(formats, e2m1_round_trips_every_code) { expect_round_trip<E2m1>(16); }
TEST(formats, bf16_round_trips_every_code) { expect_round_trip<Bf16>(65536); }
TEST(formats, f16_round_trips_every_code) { expect_round_trip<F16>(65536); }

TEST(formats, e4m3_matches_the_vectors) {
  const Json data = vectors("e4m3");
  expect_decodes<E4m3>(member(data, "decode"));
  expect_encodes(member(data, "encode"), 1, E4m3::encode);
}

TEST(formats, e5m2_matches_the_vectors) {
  const Json data = vectors("e5m2");
  expect_decodes<E5m2>(member(data, "decode"));
  const auto check = [](auto encode) {
    return [encode](float x) { return std::isnan(x) ? E5m2::Code{0x7F} : encode(x); };  // any NaN code will do
  };
  expect_encodes(member(data, "encode"), 1, check(E5m2::encode));
  expect_encodes(member(data, "encode"), 2, check(E5m2::encode_ieee));
}

TEST(formats, e2m1_matches_the_vectors) {
  const Json data = vectors("e2m1");
  expect_decodes<E2m1>(member(data, "decode"));
  expect_encodes(member(data, "encode"), 1, E2m1::encode);
}

TEST(formats, bf16_matches_the_vectors) { expect_encodes(member(vectors("bf16"), "encode"), 1, Bf16::encode); }
TEST(formats, f16_matches_the_vectors) { expect_encodes(member(vectors("f16"), "encode"), 1, F16::encode); }

TEST(formats, nan_stays_nan) {
  for (const uint32_t bits : {0x7F800001u, 0x7FC00000u, 0x7FFFFFFFu, 0xFF800001u, 0xFFFFFFFFu, 0x7F80FFFFu}) {
    const float x = bits_float(bits);
    EXPECT_TRUE(std::isnan(Bf16::decode(Bf16::encode(x)))) << bits;
    EXPECT_TRUE(std::isnan(F16::decode(F16::encode(x)))) << bits;
    EXPECT_TRUE(std::isnan(F16::decode(f16_stochastic(x, 0x1FFF)))) << bits;
    EXPECT_TRUE(std::isnan(E4m3::decode(E4m3::encode(x)))) << bits;
    EXPECT_TRUE(std::isnan(E5m2::decode(E5m2::encode(x)))) << bits;
    EXPECT_TRUE(std::isnan(E5m2::decode(E5m2::encode_ieee(x)))) << bits;
  }
}

// The code of the nearest finite value of a format, ties to the even code, found by trying them all in double.
template <class Codec>
int nearest(float x, int finite_codes) {
  x = std::min(std::fabs(x), 2 * Codec::kMax);  // far beyond the largest value, doubles no longer tell the codes apart
  int best = 0;
  double least = INFINITY;
  for (int c = 0; c < finite_codes; ++c) {
    const double error = std::fabs(double(x) - double(Codec::decode(typename Codec::Code(c))));
    if (error < least || (error == least && c % 2 == 0)) best = c, least = error;
  }
  return best;
}

// Walks over all magnitudes a float32 can have, some 16000 of them.
template <class Check>
void for_many_floats(Check check) {
  for (uint64_t bits = 0; bits < 0x7F800000; bits += 0x1F3D7 + bits % 7) check(bits_float(uint32_t(bits)));
}

TEST(formats, small_formats_round_to_the_nearest_value) {
  for_many_floats([](float x) {
    EXPECT_EQ(int{E4m3::encode(x)}, nearest<E4m3>(x, 0x7F)) << x;
    EXPECT_EQ(int{E4m3::encode(-x)}, nearest<E4m3>(x, 0x7F) | 0x80) << x;
    EXPECT_EQ(int{E5m2::encode(x)}, nearest<E5m2>(x, 0x7C)) << x;
    EXPECT_EQ(int{E2m1::encode(x)}, nearest<E2m1>(x, 8)) << x;
    EXPECT_EQ(int{E2m1::encode(-x)}, nearest<E2m1>(x, 8) | 8) << x;
  });
}

TEST(formats, stochastic_f16_matches_the_vectors) {
  const Json data = vectors("stochastic_f16"), &rows = member(data, "cases");
  ASSERT_FALSE(rows.array().empty());
  for (const Json& row : rows.array()) {
    const Json::Array& r = row.array();
    const int code = f16_stochastic(hex_float(r.at(0)), uint32_t(r.at(1).integer()));
    EXPECT_EQ(code, r.at(3).integer()) << row.dump();
  }
}

TEST(formats, stochastic_f16_keeps_what_is_exact) {
  for (uint32_t c = 0; c < 65536; ++c) {
    const float value = F16::decode(F16::Code(c));
    if (std::isnan(value)) continue;
    for (const uint32_t noise : {0u, 1u, 0x1000u, 0x1FFFu}) EXPECT_EQ(f16_stochastic(value, noise), c);
  }
}

TEST(formats, stochastic_f16_rounds_up_as_often_as_the_dropped_part_says) {
  for (const float x : {1.0003f, -3.14159f, 6.2e-5f, 1e-6f, 3e-8f, 1234.567f}) {
    double sum = 0;
    for (uint32_t noise = 0; noise < 8192; ++noise) sum += double(F16::decode(f16_stochastic(x, noise)));
    const double step = std::fabs(x) < 0x1p-14 ? 0x1p-24 : std::ldexp(1.0, std::ilogb(x) - 10);
    EXPECT_NEAR(sum / 8192, double(x), step / 8192) << x;
  }
}

TEST(formats, nvfp4_round_trips_every_code) {
  for (int scale = 1; scale < 0x7F; ++scale) {
    for (const float tensor_scale : {1.0f, 0.0003f, 17.0f / 2688}) {
      float x[Nvfp4::kBlock];
      for (int c = 0; c < 16; ++c) x[c] = Nvfp4::decode(uint8_t(c), uint8_t(scale)) * tensor_scale;
      uint8_t packed[Nvfp4::kBlock / 2];
      Nvfp4::encode_block(x, uint8_t(scale), tensor_scale, packed);
      for (int c = 0; c < 16; ++c) {
        // -0.0 gives code 0: the exporter's rule.
        EXPECT_EQ(int{Nvfp4::code(packed, c)}, c == 8 ? 0 : c) << "scale code " << scale;
      }
    }
  }
}

TEST(formats, nvfp4_has_the_even_column_in_the_low_nibble) {
  const uint8_t row[] = {0x21, 0x43};
  EXPECT_EQ(int{Nvfp4::code(row, 0)}, 1);
  EXPECT_EQ(int{Nvfp4::code(row, 1)}, 2);
  EXPECT_EQ(int{Nvfp4::code(row, 2)}, 3);
  EXPECT_EQ(int{Nvfp4::code(row, 3)}, 4);
}

TEST(formats, nvfp4_products_are_exact_in_bf16) {
  for (int scale = 0; scale < 256; ++scale) {
    for (int c = 0; c < 16; ++c) {
      const float value = Nvfp4::decode(uint8_t(c), uint8_t(scale));
      if (std::isnan(value)) continue;
      EXPECT_EQ(double(value), double(E2m1::decode(uint8_t(c))) * double(E4m3::decode(uint8_t(scale))));
      EXPECT_EQ(Bf16::decode(Bf16::encode(value)), value);
    }
  }
}

TEST(formats, nvfp4_encodes_as_the_exporter) {
  const Json data = vectors("nvfp4_blocks"), &cases = member(data, "cases");
  ASSERT_FALSE(cases.array().empty());
  for (const Json& row : cases.array()) {
    const std::vector<float> x = hex_floats(member(row, "x"));
    const Json& exporter = member(row, "modelopt");
    float amax = 0;
    for (const float v : x) amax = std::max(amax, std::fabs(v));
    const float tensor_scale = Nvfp4::tensor_scale(hex_float(member(row, "g")));
    EXPECT_EQ(float_bits(tensor_scale), hex_word(member(exporter, "weight_scale_2")));
    const uint8_t scale = Nvfp4::block_scale(amax, tensor_scale);
    EXPECT_EQ(int64_t{scale}, member(exporter, "weight_scale").integer()) << row.dump();
    uint8_t packed[Nvfp4::kBlock / 2];
    Nvfp4::encode_block(x.data(), scale, tensor_scale, packed);
    for (int i = 0; i < Nvfp4::kBlock; ++i)
      EXPECT_EQ(int64_t{Nvfp4::code(packed, i)}, member(exporter, "codes").array().at(size_t(i)).integer())
          << i << row.dump();
  }
}

TEST(formats, nvfp4_decodes_the_training_blocks) {
  const Json data = vectors("nvfp4_blocks");
  for (const Json& row : member(data, "cases").array()) {
    const uint8_t scale = uint8_t(member(row, "block_scale").integer());
    const float tensor_scale = hex_float(member(row, "decode_scale"));
    const std::vector<uint8_t> codes = bytes(member(row, "codes"));
    const std::vector<float> decoded = hex_floats(member(row, "decoded"));
    for (size_t i = 0; i < codes.size(); ++i)
      EXPECT_EQ(float_bits(Nvfp4::decode(codes[i], scale) * tensor_scale), float_bits(decoded[i])) << row.dump();
  }
}

TEST(formats, fp8_encodes_scaled_tensors_as_the_vectors) {
  const Json data = vectors("fp8_tensor");
  for (const Json& row : member(data, "cases").array()) {
    const float scale = hex_float(member(row, "scale"));
    const bool e4m3 = member(row, "format").string() == "e4m3";
    const std::vector<float> x = hex_floats(member(row, "x"));
    const std::vector<uint8_t> q = bytes(member(row, "q"));
    for (size_t i = 0; i < x.size(); ++i) {
      EXPECT_EQ(int{e4m3 ? E4m3::encode(x[i] * scale) : E5m2::encode(x[i] * scale)}, int{q[i]}) << row.dump();
    }
  }
}

TEST(formats, fp8_rounds_through_bf16_as_the_exporter) {
  // 1.06640625 lies above the tie 1.0625 of E4M3; in BF16 it is 1.0625 + 2^-8 kept, but 1.0634765625 becomes the tie
  // itself.
  EXPECT_EQ(int{E4m3::encode(1.0634765625f)}, 0x39);
  EXPECT_EQ(int{Fp8::encode(1.0634765625f, 1)}, 0x38);
  EXPECT_EQ(int{Fp8::encode(2 * 1.0634765625f, 2)}, 0x38);
  EXPECT_EQ(Fp8::tensor_scale(448), 1);
}

// y = x W^T from decoded codes, as the vectors give it.
template <class Row>
void expect_product(const Json& row, const Matrix& w, Row x_row, double scale) {
  const Json::Array& shape = member(row, "shape").array();
  const index T = shape.at(0).integer();
  const Json::Array& y = member(row, "y").array();
  std::vector<double> w_row(size_t(w.cols));
  for (index t = 0; t < T; ++t) {
    const std::vector<double> x = x_row(t);
    for (index n = 0; n < w.rows; ++n) {
      decode_row(w, n, 0, w.cols, w_row.data());
      double sum = 0, size = 0;
      for (size_t k = 0; k < w_row.size(); ++k) sum += x[k] * w_row[k], size += std::fabs(x[k] * w_row[k]);
      EXPECT_NEAR(sum * scale, y.at(size_t(t * w.rows + n)).number(), 1e-14 * size * scale + 1e-300);
    }
  }
}

TEST(formats, fp8_matrix_rows_give_the_product) {
  const Json data = vectors("gemm_fp8"), &cases = member(data, "cases");
  ASSERT_FALSE(cases.array().empty());
  for (const Json& row : cases.array()) {
    const Json::Array& shape = member(row, "shape").array();
    const index N = shape.at(1).integer(), K = shape.at(2).integer();
    const std::vector<float> x = hex_floats(member(row, "x"));
    const std::vector<uint8_t> weight = bytes(member(row, "weight")), x_codes = bytes(member(row, "x_codes"));
    const float input_scale = hex_float(member(row, "input_scale")),
                weight_scale = hex_float(member(row, "weight_scale"));
    for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(E4m3::encode(x[i] / input_scale), x_codes[i]);
    const Matrix w{.data = weight.data(), .scale = weight_scale, .format = Format::fp8, .rows = N, .cols = K};
    const auto x_row = [&](index t) {
      std::vector<double> out;
      for (index k = 0; k < K; ++k) out.push_back(double(E4m3::decode(x_codes[size_t(t * K + k)])));
      return out;
    };
    expect_product(row, w, x_row, double(input_scale) * double(weight_scale));
  }
}

TEST(formats, nvfp4_matrix_rows_give_the_product) {
  const Json data = vectors("gemm_nvfp4"), &cases = member(data, "cases");
  ASSERT_FALSE(cases.array().empty());
  for (const Json& row : cases.array()) {
    const Json::Array& shape = member(row, "shape").array();
    const index N = shape.at(1).integer(), K = shape.at(2).integer();
    const std::vector<uint8_t> weight = bytes(member(row, "weight")), scales = bytes(member(row, "weight_scale"));
    const std::vector<uint8_t> x_codes = bytes(member(row, "x_codes")), x_scales = bytes(member(row, "x_scales"));
    const float input_scale = hex_float(member(row, "input_scale")),
                weight_scale_2 = hex_float(member(row, "weight_scale_2"));
    const Matrix w{.data = weight.data(),
                   .block_scales = scales.data(),
                   .scale = weight_scale_2,
                   .format = Format::nvfp4,
                   .rows = N,
                   .cols = K};
    const auto x_row = [&](index t) {
      std::vector<double> out;
      for (index k = 0; k < K; ++k) {
        const size_t i = size_t(t * K + k);
        out.push_back(double(Nvfp4::decode(x_codes[i], x_scales[i / Nvfp4::kBlock])));
      }
      return out;
    };
    expect_product(row, w, x_row, double(input_scale) * double(weight_scale_2));
  }
}

TEST(formats, matrix_rows_are_read_from_any_column_and_address) {
  std::vector<uint8_t> bytes(1 + 3 * 32 * 4);  // one byte off any alignment
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = uint8_t(i * 37 % 113);
  std::vector<uint8_t> scales(3 * 2);
  for (size_t i = 0; i < scales.size(); ++i) scales[i] = uint8_t(0x30 + i);
  for (const Format format : {Format::f32, Format::bf16, Format::f16, Format::fp8, Format::nvfp4}) {
    const Matrix w{.data = bytes.data() + 1, .block_scales = scales.data(), .format = format, .rows = 3, .cols = 32};
    for (index r = 0; r < w.rows; ++r) {
      double whole[32], part[32];
      decode_row(w, r, 0, 32, whole);
      for (index begin = 0; begin < 32; begin += 5) {
        decode_row(w, r, begin, 32 - begin, part);
        EXPECT_EQ(std::memcmp(part, whole + begin, size_t(32 - begin) * sizeof(double)), 0) << format_name(format);
      }
    }
  }
}

}  // namespace
}  // namespace nemotron
