// SPDX-License-Identifier: Apache-2.0
// Plots drawn as SVG. All coordinates are printed with two decimals, so that the last bits of a logarithm don't matter.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tools/bfexplore/plot.h"

// RIGHT is the least room for the legend; long names get more.
enum { PLOT_WIDTH = 334, HEIGHT = 400, LEFT = 76, RIGHT = 150, TOP = 36, BOTTOM = 56 };
#define MAX_TICKS 64
#define MAX_LABELS 256  // beside points; further ones are left out
#define MAX_MARKERS 1024  // that labels keep off

// Told apart with any kind of colour vision (Okabe and Ito, "Color universal design", 2008).
static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999933"};

struct axis {
  bool log;
  double low, high;         // ends, in log10 if log
  double from, to;          // pixels
  double ticks[MAX_TICKS];  // values
  size_t nticks;
};

// Where a label or a marker stands already.
struct box { double left, top, right, bottom; };

struct panel {
  const struct bfx_plot *plot;
  struct axis x, y;
  struct bf_buf *out;
  bool bars;
  struct box boxes[MAX_MARKERS + MAX_LABELS];
  size_t nboxes, nmarkers;
};

static void escaped(struct bf_buf *out, const char *text) {
  for (; text && *text; text++) {
    switch (*text) {
      case '&': bf_buf_puts(out, "&amp;"); break;
      case '<': bf_buf_puts(out, "&lt;"); break;
      case '>': bf_buf_puts(out, "&gt;"); break;
      default: bf_buf_append(out, (unsigned char)*text < ' ' ? " " : text, 1);
    }
  }
}

static void text_at(struct bf_buf *out, double x, double y, const char *style, const char *text) {
  bf_buf_printf(out, "<text x=\"%.2f\" y=\"%.2f\" %s>", x, y, style);
  escaped(out, text);
  bf_buf_puts(out, "</text>\n");
}

// A step of 1, 2 or 5 times a power of ten.
static double nice_step(double span) {
  double power = pow(10, floor(log10(span))), part = span / power;
  return part <= 1 ? power / 5 : part <= 2 ? power / 2.5 : part <= 5 ? power : 2 * power;
}

static void linear_ticks(struct axis *a) {
  double step = nice_step((a->high - a->low) > 0 ? a->high - a->low : 1);
  a->low = floor(a->low / step) * step;
  a->high = ceil(a->high / step) * step;
  long count = lround((a->high - a->low) / step);
  for (long i = 0; i <= count && a->nticks < MAX_TICKS; i++) {
    double value = a->low + (double)i * step;
    a->ticks[a->nticks++] = fabs(value) < step * 1e-9 ? 0 : value;
  }
}

// Decades; with few of them 2 and 5 times their powers as well; with many, every nth.
static void log_ticks(struct axis *a) {
  double low = floor(a->low * 2) / 2, high = ceil(a->high * 2) / 2;
  a->low = low == high ? low - 0.5 : low;
  a->high = high;
  int first = (int)floor(a->low), last = (int)ceil(a->high), every = (last - first) / 12 + 1;
  for (int e = first; e <= last; e += every) {
    static const double parts[] = {1, 2, 5};
    for (int p = 0; p < (last - first > 3 ? 1 : 3); p++) {
      double value = parts[p] * pow(10, e), at = log10(value);
      if (at >= a->low - 1e-9 && at <= a->high + 1e-9 && a->nticks < MAX_TICKS) {
        a->ticks[a->nticks++] = value;
      }
    }
  }
}

static double place(const struct axis *a, double value) {
  double v = a->log ? log10(value) : value, span = a->high - a->low;
  return a->from + (span > 0 ? (v - a->low) / span : 0.5) * (a->to - a->from);
}

static void widen(struct axis *a, double value, bool *any) {
  double v = a->log ? log10(value) : value;
  a->low = *any ? fmin(a->low, v) : v;
  a->high = *any ? fmax(a->high, v) : v;
}

static void set_axes(struct panel *p, double left, double top) {
  const struct bfx_plot *plot = p->plot;
  bool any = false;
  p->x = (struct axis){.log = plot->x_log, .from = left + LEFT, .to = left + LEFT + PLOT_WIDTH};
  p->y = (struct axis){.log = plot->y_log, .from = top + HEIGHT - BOTTOM, .to = top + TOP};
  for (size_t s = 0; s < plot->nseries; s++) {
    p->bars |= plot->series[s].mark == BFX_BARS;
    for (size_t i = 0; i < plot->series[s].count; i++) {
      widen(&p->x, plot->series[s].points[i].x, &any);
      widen(&p->y, plot->series[s].points[i].y, &any);
      any = true;
    }
  }
  if (p->bars) {
    p->x.low = -0.5;
    p->x.high = (double)plot->ncategories - 0.5;
  } else {
    (p->x.log ? log_ticks : linear_ticks)(&p->x);
  }
  if (!p->y.log && p->y.low > 0 && (p->bars || p->y.low < 0.4 * p->y.high)) {
    p->y.low = 0;  // bars begin at 0; others where that wastes no room
  }
  if (p->bars && !p->y.log) {
    p->y.high += 0.04 * (p->y.high - p->y.low);  // room for what stands above a bar
  }
  (p->y.log ? log_ticks : linear_ticks)(&p->y);
}

static void tick_text(char *out, size_t size, double value, bool log) {
  int e = (int)floor(log10(value) + 1e-9);
  if (log && (e >= 4 || e <= -3)) {
    double part = value / pow(10, e);
    snprintf(out, size, part < 1.5 ? "1e%d" : "%2$.0fe%1$d", e, part);
  } else {
    snprintf(out, size, "%.6g", value);
  }
}

static void draw_axes(const struct panel *p) {
  struct bf_buf *out = p->out;
  char text[32];
  bf_buf_printf(out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"none\" stroke=\"#444\"/>\n", p->x.from, p->y.to,
                p->x.to - p->x.from, p->y.from - p->y.to);
  for (size_t i = 0; i < p->y.nticks; i++) {
    double y = place(&p->y, p->y.ticks[i]);
    bf_buf_printf(out, "<path d=\"M%.2f %.2fH%.2f\" stroke=\"#ddd\"/>\n", p->x.from, y, p->x.to);
    tick_text(text, sizeof text, p->y.ticks[i], p->y.log);
    text_at(out, p->x.from - 6, y + 4, "text-anchor=\"end\"", text);
  }
  for (size_t i = 0; i < p->x.nticks; i++) {
    double x = place(&p->x, p->x.ticks[i]);
    bf_buf_printf(out, "<path d=\"M%.2f %.2fV%.2f\" stroke=\"#ddd\"/>\n", x, p->y.from, p->y.to);
    tick_text(text, sizeof text, p->x.ticks[i], p->x.log);
    text_at(out, x, p->y.from + 16, "text-anchor=\"middle\"", text);
  }
  for (size_t i = 0; p->bars && i < p->plot->ncategories; i++) {
    text_at(out, place(&p->x, (double)i), p->y.from + 16, "text-anchor=\"middle\"", p->plot->categories[i]);
  }
  double middle = (p->x.from + p->x.to) / 2, centre = (p->y.from + p->y.to) / 2, left = p->x.from - LEFT + 16;
  text_at(out, middle, p->y.to - 14, "text-anchor=\"middle\" font-size=\"14\" font-weight=\"bold\"", p->plot->title);
  text_at(out, middle, p->y.from + 40, "text-anchor=\"middle\"", p->plot->x_label);
  snprintf(text, sizeof text, "%.2f %.2f", left, centre);
  bf_buf_printf(out, "<text x=\"%.2f\" y=\"%.2f\" text-anchor=\"middle\" transform=\"rotate(-90 %s)\">", left, centre, text);
  escaped(out, p->plot->y_label);
  bf_buf_puts(out, "</text>\n");
}

// Shapes differ too, so that prints without colours can be read, and where colours come round again.
static void marker(struct bf_buf *out, size_t series, double x, double y, const char *colour) {
  switch ((series + series / BF_COUNT(colours)) % 4) {
    case 0: bf_buf_printf(out, "<circle cx=\"%.2f\" cy=\"%.2f\" r=\"3.5\" fill=\"%s\"/>\n", x, y, colour); break;
    case 1: bf_buf_printf(out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"7\" height=\"7\" fill=\"%s\"/>\n", x - 3.5, y - 3.5, colour); break;
    case 2: bf_buf_printf(out, "<path d=\"M%.2f %.2fl4 7h-8z\" fill=\"%s\"/>\n", x, y - 4, colour); break;
    default: bf_buf_printf(out, "<path d=\"M%.2f %.2fl4 4l-4 4l-4 -4z\" fill=\"%s\"/>\n", x, y - 4, colour);
  }
}

static void draw_line(const struct panel *p, const struct bfx_series *s, const char *colour) {
  bf_buf_puts(p->out, "<path d=\"");
  for (size_t i = 0; i < s->count; i++) {
    bf_buf_printf(p->out, "%c%.2f %.2f", i ? 'L' : 'M', place(&p->x, s->points[i].x), place(&p->y, s->points[i].y));
  }
  bf_buf_printf(p->out, "\" fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\"/>\n", colour);
}

static void draw_bars(const struct panel *p, const struct bfx_series *s, size_t index, size_t of, const char *colour) {
  double slot = (p->x.to - p->x.from) / (double)(p->plot->ncategories ? p->plot->ncategories : 1);
  double width = 0.8 * slot / (double)of;
  for (size_t i = 0; i < s->count; i++) {
    double x = place(&p->x, s->points[i].x) - 0.4 * slot + (double)index * width;
    double y = place(&p->y, s->points[i].y), zero = p->y.log || p->y.low > 0 ? p->y.from : place(&p->y, 0);
    bf_buf_printf(p->out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\"/>\n", x, fmin(y, zero), width * 0.95,
                  fabs(zero - y), colour);
    if (s->points[i].label) {
      text_at(p->out, x + width / 2, fmin(y, zero) - 3, "text-anchor=\"middle\" font-size=\"9\"", s->points[i].label);
    }
  }
}

static bool overlaps(const struct panel *p, const struct box *b) {
  bool any = b->right > p->x.to + 2 || b->left < p->x.from || b->top < p->y.to || b->bottom > p->y.from;
  for (size_t i = 0; i < p->nboxes; i++) {
    const struct box *o = &p->boxes[i];
    any |= b->left < o->right && o->left < b->right && b->top < o->bottom && o->top < b->bottom;
  }
  return any;
}

// Beside the point, where there is room; a label without room is left out.
static void point_label(struct panel *p, double x, double y, const char *label) {
  static const double places[][2] = {{1, -1}, {1, 1}, {-1, -1}, {-1, 1}, {0, -1.6}, {0, 1.8}};  // sides in x and y
  double width = 5.7 * (double)strlen(label), height = 9;
  for (size_t i = 0; i < BF_COUNT(places) && p->nboxes < p->nmarkers + MAX_LABELS; i++) {
    double left = places[i][0] > 0 ? x + 6 : places[i][0] < 0 ? x - 6 - width : x - width / 2, bottom = y + 3 + 8 * places[i][1];
    struct box box = {left, bottom - height, left + width, bottom};
    if (!overlaps(p, &box)) {
      p->boxes[p->nboxes++] = box;
      text_at(p->out, left, bottom, "font-size=\"10\"", label);
      return;
    }
  }
}

// Markers first: no label covers one.
static void keep_markers(struct panel *p) {
  for (size_t s = 0; s < p->plot->nseries; s++) {
    const struct bfx_series *series = &p->plot->series[s];
    for (size_t i = 0; series->mark != BFX_BARS && i < series->count && p->nboxes < MAX_MARKERS; i++) {
      double x = place(&p->x, series->points[i].x), y = place(&p->y, series->points[i].y);
      p->boxes[p->nboxes++] = (struct box){x - 4, y - 4, x + 4, y + 4};
    }
  }
  p->nmarkers = p->nboxes;
}

static void draw_labels(struct panel *p) {
  keep_markers(p);
  for (size_t s = 0; s < p->plot->nseries; s++) {
    const struct bfx_series *series = &p->plot->series[s];
    for (size_t i = 0; series->mark != BFX_BARS && i < series->count; i++) {
      if (series->points[i].label) {
        point_label(p, place(&p->x, series->points[i].x), place(&p->y, series->points[i].y), series->points[i].label);
      }
    }
  }
}

static void draw_series(const struct panel *p) {
  const struct bfx_plot *plot = p->plot;
  size_t nbars = 0, bar = 0;
  for (size_t s = 0; s < plot->nseries; s++) {
    nbars += plot->series[s].mark == BFX_BARS;
  }
  for (size_t s = 0; s < plot->nseries; s++) {
    const struct bfx_series *series = &plot->series[s];
    const char *colour = colours[s % BF_COUNT(colours)];
    if (series->mark == BFX_BARS) {
      draw_bars(p, series, bar++, nbars, colour);
      continue;
    }
    if (series->mark == BFX_LINE && series->count > 0) {
      draw_line(p, series, colour);
    }
    for (size_t i = 0; i < series->count; i++) {
      double x = place(&p->x, series->points[i].x), y = place(&p->y, series->points[i].y);
      marker(p->out, s, x, y, colour);
    }
  }
}

static void draw_legend(const struct panel *p) {
  double x = p->x.to + 12, y = p->y.to + 8;
  for (size_t s = 0; s < p->plot->nseries; s++, y += 17) {
    marker(p->out, p->bars ? 1 : s, x, y, colours[s % BF_COUNT(colours)]);
    text_at(p->out, x + 9, y + 4, "font-size=\"11\"", p->plot->series[s].name);
  }
}

// Width of a panel, for the longest name in a legend.
static size_t panel_width(const struct bfx_plot *plots, size_t count) {
  size_t right = RIGHT;
  for (size_t i = 0; i < count; i++) {
    for (size_t s = 0; s < plots[i].nseries; s++) {
      size_t length = strlen(plots[i].series[s].name), wanted = 30 + 13 * (length < 80 ? length : 80) / 2;
      right = wanted > right ? wanted : right;
    }
  }
  return LEFT + PLOT_WIDTH + right;
}

void bfx_plot_svg(const struct bfx_plot *plots, size_t count, struct bf_buf *out) {
  size_t across = count > 1 ? 2 : 1, down = (count + across - 1) / across, width = panel_width(plots, count);
  bf_buf_printf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%zu\" height=\"%zu\" viewBox=\"0 0 %zu %zu\" "
                "font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
                across * width, down * HEIGHT, across * width, down * HEIGHT);
  for (size_t i = 0; i < count; i++) {
    struct panel p = {.plot = &plots[i], .out = out};
    set_axes(&p, (double)(i % across * width), (double)(i / across) * HEIGHT);
    draw_axes(&p);
    draw_series(&p);
    draw_labels(&p);
    draw_legend(&p);
  }
  bf_buf_puts(out, "</svg>\n");
}
