// SPDX-License-Identifier: Apache-2.0
// The picture: for each layer with code a panel, operations to the right, columns downwards. All numbers are rounded to tenths, so that the same code gives
// the same bytes.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/columns.h"
#include "isa/isa.h"

#define LEFT 70.0      // px: axis labels
#define WIDTH 1100.0   // of a panel
#define HEAD 30.0      // title above a panel
#define FOOT 34.0      // operation numbers below
#define TOP 50.0       // legend
#define LEAST_ROW 2.0  // px a column
#define MOST_ROW 8.0
#define PANEL 320.0    // aimed at
#define LETTER 5.6     // px wide, about

static const struct { const char *colour, *text; } roles[] = {
#define BF_COLUMN_ROLE(id, colour, text) {colour, text},
#include "backend/column_roles.def"
};

static void escaped(struct bf_buf *out, const char *text) {
  for (; *text; text++) {
    if (*text == '<') bf_buf_puts(out, "&lt;");
    else if (*text == '>') bf_buf_puts(out, "&gt;");
    else if (*text == '&') bf_buf_puts(out, "&amp;");
    else if (*text == '"') bf_buf_puts(out, "&quot;");
    else bf_buf_printf(out, "%c", (unsigned char)*text < 32 ? ' ' : *text);
  }
}

static void rect(struct bf_buf *out, double x, double y, double w, double h, const char *colour) {
  bf_buf_printf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"", x, y, w, h, colour);
}

static void words(struct bf_buf *out, double x, double y, const char *anchor, const char *text) {
  bf_buf_printf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
  escaped(out, text);
  bf_buf_puts(out, "</text>\n");
}

struct panel { double top, row, step; unsigned columns; };

static struct panel panel_of(const struct bf_column_layer *layer, double top) {
  struct panel p = {.top = top + HEAD, .columns = layer->columns_used};
  p.row = PANEL / (double)(p.columns ? p.columns : 1);
  p.row = p.row < LEAST_ROW ? LEAST_ROW : p.row > MOST_ROW ? MOST_ROW : p.row;
  p.step = WIDTH / (double)(layer->nops ? layer->nops : 1);
  return p;
}

static double height_of(const struct bf_column_layer *layer) {
  struct panel p = panel_of(layer, 0);
  return layer->nfields ? HEAD + p.row * p.columns + FOOT : 0;
}

static void draw_field(struct bf_buf *out, const struct panel *p, const struct bf_column_field *f) {
  double x = LEFT + p->step * (double)f->first, w = p->step * (double)(f->last + 1 - f->first), y = p->top + p->row * f->col, h = p->row * f->width;
  bf_buf_puts(out, "<g>");
  rect(out, x, y, w, h, roles[f->role].colour);
  bf_buf_puts(out, " stroke=\"#555\" stroke-width=\"0.3\"/><title>");
  escaped(out, f->name);
  bf_buf_printf(out, ": columns %u to %u, operations %zu to %zu</title>", f->col, f->col + f->width - 1, f->first, f->last);
  if (h >= 9 && w >= LETTER * (double)strlen(f->name) + 4) {
    bf_buf_printf(out, "<text x=\"%.1f\" y=\"%.1f\">", x + 2, y + h / 2 + 3);
    escaped(out, f->name);
    bf_buf_puts(out, "</text>");
  }
  bf_buf_puts(out, "</g>\n");
}

static void draw_axes(struct bf_buf *out, const struct panel *p, const struct bf_column_layer *layer) {
  char text[32];
  double bottom = p->top + p->row * p->columns;
  for (unsigned c = 0; c < p->columns; c += 16) {
    snprintf(text, sizeof text, "%u", c);
    words(out, LEFT - 6, p->top + p->row * c + 8, "end", text);
  }
  for (int i = 0; i <= 4; i++) {
    size_t op = layer->nops * (size_t)i / 4;
    snprintf(text, sizeof text, "%zu", op);
    words(out, LEFT + p->step * (double)op, bottom + 13, i == 4 ? "end" : "middle", text);
  }
  words(out, LEFT + WIDTH / 2, bottom + 26, "middle", "operation");
  if (layer->tail)
    bf_buf_printf(out, "<path d=\"M%.1f %.1fV%.1f\" stroke=\"#c0392b\" stroke-dasharray=\"4 3\" fill=\"none\"><title>requantization begins</title></path>\n",
                  LEFT + p->step * (double)layer->tail, p->top, bottom);
}

static void draw_layer(struct bf_buf *out, const struct bf_column_layer *layer, const struct ap_machine *machine, double top) {
  struct panel p = panel_of(layer, top);
  char *title = bf_format("%s: %s, %u of %u columns, %.1f in use in the mean; busiest of %llu regions", layer->name, layer->mapping, layer->columns_used,
                          machine->columns, layer->mean_live + AP_FLAG_COLUMNS, (unsigned long long)layer->regions);
  bf_buf_puts(out, "<g class=\"layer\">\n<g font-weight=\"bold\">");
  words(out, LEFT, top + HEAD - 10, "start", title);
  bf_buf_puts(out, "</g>\n");
  free(title);
  rect(out, LEFT, p.top, WIDTH, p.row * p.columns, "#f7f7f7");
  bf_buf_puts(out, "/>\n");
  rect(out, LEFT, p.top, WIDTH, p.row * AP_FLAG_COLUMNS, "#999");
  bf_buf_puts(out, "><title>flags</title></rect>\n");
  for (size_t i = 0; i < layer->nfields; i++) draw_field(out, &p, &layer->fields[i]);
  draw_axes(out, &p, layer);
  bf_buf_puts(out, "</g>\n");
}

static void draw_legend(struct bf_buf *out) {
  double x = LEFT;
  for (size_t i = 0; i < BF_COUNT(roles); i++) {
    rect(out, x, 16, 14, 10, roles[i].colour);
    bf_buf_puts(out, "/>");
    words(out, x + 18, 25, "start", roles[i].text);
    x += 40 + LETTER * (double)strlen(roles[i].text);
  }
  rect(out, x, 16, 14, 10, "#999");
  bf_buf_puts(out, "/>");
  words(out, x + 18, 25, "start", "flags");
  words(out, LEFT + WIDTH, 25, "end", "columns downwards, operations to the right; dashed: requantization begins");
}

void bf_columns_svg(const struct bf_columns *columns, const struct ap_machine *machine, struct bf_buf *out) {
  double height = TOP;
  for (size_t i = 0; i < columns->nlayers; i++) height += height_of(&columns->layers[i]);
  bf_buf_printf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" font-family=\"sans-serif\" font-size=\"10\">\n",
                LEFT + WIDTH + 20, height, LEFT + WIDTH + 20, height);
  bf_buf_puts(out, "<title>Columns over time</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n");
  draw_legend(out);
  double top = TOP;
  for (size_t i = 0; i < columns->nlayers; i++) {
    if (columns->layers[i].nfields) draw_layer(out, &columns->layers[i], machine, top);
    top += height_of(&columns->layers[i]);
  }
  bf_buf_puts(out, "</svg>\n");
}
