"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const narrow = () => window.innerWidth < 560;
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // Plotly reads a few tags in labels; names of symbols are never markup.
  const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const palette = ["#3b73e0", "#e0863b", "#2a9d8f", "#b454c4", "#c94f4f", "#7d8f2b", "#5b6ee1", "#c2527f", "#8a94a3"];
  const config = { displaylogo: false, responsive: true, displayModeBar: false, scrollZoom: false };

  const axis = (more) => ({
    gridcolor: color("--line"), zerolinecolor: color("--line"), linecolor: color("--line"),
    automargin: true, fixedrange: true, ...more,
  });
  const time = (more) => axis({ type: "date", showgrid: false, fixedrange: narrow(), nticks: narrow() ? 5 : 10, ...more });
  const layout = (more) => ({
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: color("--muted") },
    margin: { l: 8, r: 8, t: 8, b: 8 }, hovermode: "x unified", dragmode: narrow() ? false : "zoom",
    hoverlabel: { bgcolor: color("--card"), bordercolor: color("--line"), font: { color: color("--text") } },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { color: color("--text") } },
    xaxis: time(), showlegend: true, ...more,
  });
  const faded = (hex, alpha) => {
    const n = parseInt(hex.slice(1), 16);
    return `rgba(${n >> 16}, ${(n >> 8) & 255}, ${n & 255}, ${alpha})`;
  };
  const empty = (id, text) => {
    const box = document.getElementById(id);
    box.textContent = text;
    box.className = "none";
  };

  const hues = { CALM: "#2a9d8f", STORM: "#c94f4f", UNKNOWN: "#d9a441" };
  const shades = () => data.regimes.filter(([name]) => hues[name]).map(([name, from, to]) => ({
    type: "rect", xref: "x", yref: "paper", x0: from, x1: to, y0: 0, y1: 1, layer: "below",
    fillcolor: faded(hues[name], 0.12), line: { width: 0 },
  }));

  function equity() {
    const e = data.equity;
    if (!e.t.length) return empty("equity", "No slice was recorded, so there is no equity to draw.");
    Plotly.react("equity", [
      { x: e.t, y: e.equity, name: "Equity", line: { color: color("--accent"), width: 1.8 }, hovertemplate: "%{y:,.2f}" },
      { x: e.t, y: e.drawdown, name: "Drawdown", yaxis: "y2", fill: "tozeroy", line: { color: color("--bad"), width: 1 },
        fillcolor: faded(color("--bad"), 0.16), hovertemplate: "%{y:.2%}" },
    ], layout({
      showlegend: false, xaxis: time({ anchor: "y2" }), shapes: shades(),
      yaxis: axis({ domain: [0.31, 1], tickformat: ",.12~r", nticks: 7 }),
      yaxis2: axis({ domain: [0, 0.26], tickformat: ".2~%", nticks: 4, rangemode: "tozero" }),
    }), config);
  }

  function exposure() {
    const e = data.exposure;
    if (!e.t.length) return empty("exposure", "Nothing to draw.");
    const line = (y, name, hue, more) => ({ x: e.t, y, name, line: { color: hue, width: 1.4, shape: "hv" }, hovertemplate: "%{y:.1%}", ...more });
    Plotly.react("exposure", [
      line(e.gross, "Gross", color("--second"), { fill: "tozeroy", fillcolor: faded(color("--second"), 0.15) }),
      line(e.net, "Net", color("--accent")),
    ], layout({ yaxis: axis({ tickformat: ".2~%", nticks: 6 }) }), config);
  }

  function positions() {
    const p = data.exposure;
    if (!p.names.length) return empty("positions", "No position was held.");
    const part = (name, i, side, keep) => ({
      x: p.t, y: p.weights[i].map((w) => (w === null ? null : keep(w))), name: plain(name), legendgroup: String(i), stackgroup: side,
      line: { width: 0.5, color: palette[i], shape: "hv" }, fillcolor: faded(palette[i], 0.7),
      customdata: p.weights[i], hovertemplate: "%{customdata:.1%}",
    });
    const traces = [];
    p.names.forEach((name, i) => {
      const short = p.weights[i].some((w) => w < 0), long = p.weights[i].some((w) => w > 0);
      if (long || !short) traces.push(part(name, i, "long", (w) => Math.max(w, 0)));
      if (short) traces.push({ ...part(name, i, "short", (w) => Math.min(w, 0)), showlegend: !long, hoverinfo: long ? "skip" : undefined,
        hovertemplate: long ? undefined : "%{customdata:.1%}" });
    });
    Plotly.react("positions", traces, layout({ yaxis: axis({ tickformat: ".2~%", nticks: 6 }) }), config);
  }

  let chosen = 0;
  function prices() {
    if (!data.prices.length) return empty("prices", "No bar was published.");
    const s = data.prices[chosen], f = s.fills, o = s.orders;
    const where = (test, list) => list.t.map((_, i) => i).filter(test);
    const at = (rows, values) => rows.map((i) => values[i]);
    const size = f.t.length > 400 ? 5 : f.t.length > 120 ? 7 : 9;
    const fills = (name, test, symbol, hue) => {
      const rows = where(test, f);
      return { x: at(rows, f.t), y: at(rows, f.price), name, mode: "markers", marker: { symbol, size, color: hue, line: { width: 0.6, color: color("--card") } },
        customdata: rows.map((i) => [Math.abs(f.units[i]), f.commission[i]]), hovertemplate: "%{customdata[0]:,} at %{y:,.4~f}, commission %{customdata[1]:,.2f}" };
    };
    const orders = (name, test, marker, more) => {
      const rows = where(test, o);
      return { x: at(rows, o.t), y: at(rows, o.price), name, mode: "markers", marker,
        text: rows.map((i) => plain(`${o.side[i]} ${o.quantity[i]} ${o.type[i]}: ${o.status[i]}${o.reason[i] ? `, ${o.reason[i]}` : ""}`)), hovertemplate: "%{text}", ...more };
    };
    Plotly.react("prices", [
      { x: s.t, y: s.close, name: plain(s.symbol), line: { color: color("--second"), width: 1.3 }, hovertemplate: "%{y:,.4~f}" },
      fills("Bought", (i) => f.units[i] > 0, "triangle-up", color("--buy")),
      fills("Sold", (i) => f.units[i] < 0, "triangle-down", color("--sell")),
      orders("Not filled", (i) => !o.filled[i], { symbol: "x-thin", size: 8, line: { width: 2, color: color("--bad") } }),
      orders("Decisions", (i) => o.filled[i], { symbol: "circle-open", size: 6, color: color("--accent") }, { visible: "legendonly" }),
    ].filter((trace) => trace.x.length), layout({ hovermode: "closest", yaxis: axis({ nticks: 8, fixedrange: narrow() }) }), config);
  }

  function chips() {
    const box = document.getElementById("chips");
    data.prices.forEach((s, i) => {
      const chip = document.createElement("button");
      chip.type = "button";
      chip.textContent = s.symbol;
      chip.setAttribute("role", "tab");
      chip.setAttribute("aria-selected", String(i === chosen));
      chip.addEventListener("click", () => {
        chosen = i;
        [...box.children].forEach((other, j) => other.setAttribute("aria-selected", String(j === i)));
        prices();
      });
      box.append(chip);
    });
  }

  const draw = () => [equity, exposure, positions, prices].forEach((chart) => chart());
  chips();
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
