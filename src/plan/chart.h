// Chart: lines over two logarithmic axes as an SVG that is readable in light and dark, with labels where they belong.

#pragma once

#include <string>
#include <utility>
#include <vector>

namespace nemotron {

struct ChartTick {
  double value = 0;
  std::string text;
};

struct ChartAxis {
  std::string title;
  double low = 1, high = 10;
  std::vector<ChartTick> ticks;
};

// Lines and marks belong to a series, which is a colour; a label says in words what the colour means.
class Chart {
 public:
  using Point = std::pair<double, double>;

  Chart(std::string title, std::string subtitle, ChartAxis x, ChartAxis y);

  enum class Stroke { solid, dashed, faint };
  // What lies outside the axes is cut off. A label stands at the line's right end.
  void line(int series, std::vector<Point> points, Stroke stroke, std::string label = "");
  // A dot, full or hollow, with a label that avoids lines and other labels.
  void mark(int series, Point at, bool full, std::string label);
  // A line of text under the chart.
  void note(std::string text) { notes_.push_back(std::move(text)); }

  std::string svg() const;

 private:
  struct Line {
    int series;
    std::vector<Point> points;  // in pixels
    Stroke stroke;
    std::string label;
  };
  struct Mark {
    int series;
    Point at;  // in pixels
    bool full;
    std::string label;
  };
  struct Box {
    double left, top, right, bottom;
  };

  double to_x(double value) const;
  double to_y(double value) const;
  std::string axes() const;
  std::string end_labels(std::vector<Box>& taken) const;
  std::string mark_labels(std::vector<Box>& taken) const;

  std::string title_, subtitle_;
  ChartAxis x_, y_;
  std::vector<Line> lines_;
  std::vector<Mark> marks_;
  std::vector<std::string> notes_;
};

}  // namespace nemotron
