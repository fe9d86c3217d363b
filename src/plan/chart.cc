// Writes the SVG: axes, lines, marks, and labels that keep out of each other's way.

#include "plan/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace nemotron {
namespace {

constexpr double kWidth = 960, kLeft = 84, kRight = 200, kTop = 94, kPlotHeight = 400, kBottom = 62, kLine = 18;
constexpr double kPlotRight = kWidth - kRight, kPlotBottom = kTop + kPlotHeight;
constexpr double kCharacter = 6.9;  // mean width of a character of 13 px
constexpr int kColours = 9;

// The first of each pair on light ground, the second on dark: told apart by most kinds of colour vision.
constexpr const char* kPalette[kColours][2] = {{"#0a5fb4", "#6cb6ff"}, {"#c04d00", "#ff9d57"}, {"#00795a", "#4fd6a8"},
                                               {"#9b2f7d", "#f09bd3"}, {"#7a6200", "#e3c75a"}, {"#4b4fc4", "#a9adff"},
                                               {"#b3261e", "#ff8f85"}, {"#4c6b00", "#b9d666"}, {"#5d6670", "#b4bec9"}};

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (static_cast<unsigned char>(c) >= 0x20)
      out += c;
  }
  return out;
}

std::string style() {
  const auto rules = [](int mode) {
    const bool dark = mode == 1;
    std::string out = fmt::format(
        "svg{{color-scheme:light dark}}"
        ".ground{{fill:{}}}text{{fill:{}}}.quiet{{fill:{}}}.grid{{stroke:{}}}.axis{{stroke:{}}}.hollow{{fill:{}}}",
        dark ? "#10151c" : "#ffffff", dark ? "#e8edf3" : "#1b2129", dark ? "#a8b3bf" : "#56606b",
        dark ? "#28323d" : "#e6eaee", dark ? "#5c6875" : "#9aa5b0", dark ? "#10151c" : "#ffffff");
    for (int i = 0; i < kColours; ++i) out += fmt::format(".s{0}{{stroke:{1}}}.t{0}{{fill:{1}}}", i, kPalette[i][mode]);
    return out;
  };
  return "<style>text{font:13px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}"
         ".title{font-size:19px;font-weight:600}.strong{font-weight:600}.line{fill:none;stroke-width:2.5;"
         "stroke-linejoin:round;stroke-linecap:round}.dashed{stroke-dasharray:3 6}.faint{stroke-width:1.25;"
         "stroke-dasharray:1 5;opacity:.9}" +
         rules(0) + "@media (prefers-color-scheme:dark){" + rules(1) + "}</style>\n";
}

std::string segment(const std::string& kind, double x1, double y1, double x2, double y2) {
  return fmt::format("<line {} x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n", kind, x1, y1, x2, y2);
}

// A thin line from a label to what it names.
std::string leader(int series, double x1, double y1, double x2, double y2) {
  return segment(fmt::format("class=\"s{}\" stroke-width=\"1\" opacity=\".6\"", series % kColours), x1, y1, x2, y2);
}

double text_width(const std::string& text) {
  // UTF-8 continuation bytes take no room.
  const auto n =
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
  return double(n) * kCharacter;
}

}  // namespace

Chart::Chart(std::string title, std::string subtitle, ChartAxis x, ChartAxis y)
    : title_(std::move(title)), subtitle_(std::move(subtitle)), x_(std::move(x)), y_(std::move(y)) {}

double Chart::to_x(double value) const {
  return kLeft + (kPlotRight - kLeft) * std::log(value / x_.low) / std::log(x_.high / x_.low);
}
double Chart::to_y(double value) const {
  return kPlotBottom - kPlotHeight * std::log(value / y_.low) / std::log(y_.high / y_.low);
}

void Chart::line(int series, std::vector<Point> points, Stroke stroke, std::string label) {
  std::vector<Point> pixels;
  for (const auto& [x, y] : points) {
    if (!(x >= x_.low * 0.9999 && x <= x_.high * 1.0001 && y > 0)) continue;
    pixels.emplace_back(to_x(x), std::clamp(to_y(y), kTop - 1000, kPlotBottom + 1000));
  }
  if (pixels.size() >= 2) lines_.push_back({series, std::move(pixels), stroke, std::move(label)});
}

void Chart::mark(int series, Point at, bool full, std::string label) {
  if (at.first < x_.low || at.first > x_.high || at.second < y_.low || at.second > y_.high) return;
  marks_.push_back({series, {to_x(at.first), to_y(at.second)}, full, std::move(label)});
}

std::string Chart::axes() const {
  std::string out;
  for (const ChartTick& tick : x_.ticks) {
    const double x = to_x(tick.value);
    out += segment("class=\"grid\"", x, kTop, x, kPlotBottom);
    out += fmt::format("<text class=\"quiet\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", x,
                       kPlotBottom + 20, escaped(tick.text));
  }
  for (const ChartTick& tick : y_.ticks) {
    const double y = to_y(tick.value);
    out += segment("class=\"grid\"", kLeft, y, kPlotRight, y);
    out += fmt::format("<text class=\"quiet\" x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n", kLeft - 10,
                       y + 4.5, escaped(tick.text));
  }
  out += segment("class=\"axis\"", kLeft, kPlotBottom, kPlotRight, kPlotBottom);
  out += fmt::format("<text class=\"quiet\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                     (kLeft + kPlotRight) / 2, kPlotBottom + 44, escaped(x_.title));
  // The vertical axis is named above it, so that nobody has to turn their head.
  out += fmt::format("<text class=\"quiet\" x=\"{}\" y=\"{}\">{}</text>\n", 16, kTop - 12, escaped(y_.title));
  return out;
}

// Labels at the right ends, pushed apart where lines end close together.
std::string Chart::end_labels(std::vector<Box>& taken) const {
  std::vector<const Line*> ends;
  for (const Line& l : lines_)
    if (!l.label.empty()) ends.push_back(&l);
  std::sort(ends.begin(), ends.end(),
            [](const Line* a, const Line* b) { return a->points.back().second < b->points.back().second; });
  std::vector<double> ys;
  for (const Line* l : ends) {
    const double y = std::clamp(l->points.back().second, kTop, kPlotBottom);
    ys.push_back(ys.empty() ? y : std::max(y, ys.back() + kLine));
  }
  for (size_t i = ys.size(); i-- > 0;)  // those that were pushed out at the bottom push the others up
    ys[i] = std::min(ys[i], i + 1 == ys.size() ? kPlotBottom : ys[i + 1] - kLine);
  std::string out;
  for (size_t i = 0; i < ends.size(); ++i) {
    const Line& l = *ends[i];
    const auto [x, y] = l.points.back();
    const double from = std::clamp(y, kTop, kPlotBottom), left = kPlotRight + 14;
    if (std::abs(ys[i] - from) > 2 || x < kPlotRight - 1)
      out += leader(l.series, std::max(x, kPlotRight), from, left - 3, ys[i]);
    out += fmt::format("<text class=\"t{} {}\" x=\"{}\" y=\"{:.1f}\">{}</text>\n", l.series % kColours,
                       l.stroke == Stroke::faint || l.label.starts_with(' ') ? "" : "strong", left, ys[i] + 4.5,
                       escaped(l.label));
    taken.push_back({left, ys[i] - kLine / 2, kWidth, ys[i] + kLine / 2});
  }
  return out;
}

// Labels of marks: of the places around a mark, the one that covers least.
std::string Chart::mark_labels(std::vector<Box>& taken) const {
  std::string out;
  for (const Mark& m : marks_) taken.push_back({m.at.first - 7, m.at.second - 7, m.at.first + 7, m.at.second + 7});
  for (const Mark& m : marks_) {
    const double width = text_width(m.label);
    Box best{};
    double least = 1e300;
    for (const double distance : {12.0, 26.0, 42.0, 64.0, 90.0, 120.0})
      for (const auto& [dx, dy] : {Point{-1, -1}, Point{1, 1}, Point{-1, 1}, Point{1, -1}, Point{1, 0}, Point{-1, 0},
                                   Point{0, -1}, Point{0, 1}}) {
        const double left = dx < 0   ? m.at.first - distance * 0.8 - width
                            : dx > 0 ? m.at.first + distance * 0.8
                                     : m.at.first - width / 2;
        const double middle = m.at.second + dy * distance;
        const Box box{left, middle - kLine / 2, left + width, middle + kLine / 2};
        double cost = distance / 10;
        if (box.left < kLeft + 2 || box.right > kPlotRight - 2 || box.top < kTop + 2 || box.bottom > kPlotBottom - 2)
          cost += 1000;
        for (const Box& other : taken)
          if (box.left < other.right && other.left < box.right && box.top < other.bottom && other.top < box.bottom)
            cost += 2000;
        for (const Line& l : lines_)
          for (size_t i = 1; i < l.points.size(); ++i) {  // lines are sampled finely
            const double px = (l.points[i].first + l.points[i - 1].first) / 2,
                         py = (l.points[i].second + l.points[i - 1].second) / 2;
            if (px > box.left - 4 && px < box.right + 4 && py > box.top && py < box.bottom) cost += 3;
          }
        if (cost < least) least = cost, best = box;
      }
    taken.push_back(best);
    const double y = (best.top + best.bottom) / 2;
    // A far label is tied to its mark.
    const double near_x = std::clamp(m.at.first, best.left, best.right),
                 near_y = std::clamp(m.at.second, best.top + 3, best.bottom - 3);
    if (std::hypot(near_x - m.at.first, near_y - m.at.second) > 18)
      out += leader(m.series, m.at.first, m.at.second, near_x, near_y);
    out += fmt::format(
        "<text class=\"t{}\" x=\"{:.1f}\" y=\"{:.1f}\" textLength=\"{:.0f}\" "
        "lengthAdjust=\"spacingAndGlyphs\">{}</text>\n",
        m.series % kColours, best.left, y + 4.5, width, escaped(m.label));
  }
  return out;
}

std::string Chart::svg() const {
  const double height = kPlotBottom + kBottom + kLine * double(notes_.size()) + 4;
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" role=\"img\" "
      "aria-label=\"{2}\">\n<title>{2}</title>\n",
      kWidth, height, escaped(title_));
  out += style();
  out += fmt::format("<rect class=\"ground\" width=\"{}\" height=\"{}\"/>\n", kWidth, height);
  out += fmt::format("<text class=\"title\" x=\"16\" y=\"28\">{}</text>\n", escaped(title_));
  out += fmt::format("<text class=\"quiet\" x=\"16\" y=\"47\">{}</text>\n", escaped(subtitle_));
  out += fmt::format("<clipPath id=\"plot\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/></clipPath>\n", kLeft,
                     kTop, kPlotRight - kLeft, kPlotHeight);
  out += axes();
  out += "<g clip-path=\"url(#plot)\">\n";
  for (const Line& l : lines_) {
    out += fmt::format("<polyline class=\"line s{}{}\" points=\"", l.series % kColours,
                       l.stroke == Stroke::solid    ? ""
                       : l.stroke == Stroke::dashed ? " dashed"
                                                    : " faint");
    for (const auto& [x, y] : l.points) out += fmt::format("{:.1f},{:.1f} ", x, y);
    out.back() = '"';
    out += "/>\n";
  }
  out += "</g>\n";
  std::vector<Box> taken;
  out += end_labels(taken);
  for (const Mark& m : marks_)
    out += fmt::format("<circle class=\"s{0} {1}\" stroke-width=\"2.5\" cx=\"{2:.1f}\" cy=\"{3:.1f}\" r=\"5\"/>\n",
                       m.series % kColours, m.full ? fmt::format("t{}", m.series % kColours) : "hollow", m.at.first,
                       m.at.second);
  out += mark_labels(taken);
  for (size_t i = 0; i < notes_.size(); ++i)
    out += fmt::format("<text class=\"quiet\" x=\"16\" y=\"{}\">{}</text>\n",
                       kPlotBottom + kBottom + kLine * double(i) + 6, escaped(notes_[i]));
  return out + "</svg>\n";
}

}  // namespace nemotron
