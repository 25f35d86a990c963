// The chart: rows by interval, a span to be picked by dragging. It stands behind page.js, in one script with it.

function drawChart(stats) {
  drawn = stats;
  const total = stats.total;
  $("legend").replaceChildren(...KINDS.map(([name, kind]) => el(`span.${kind}`, {}, el("b", {}, `${count(total[name])} ${name}`))));
  const rows = total.inserted + total.updated + total.deleted;
  const text = [plural(rows, "row"), "in", plural(total.transactions, "transaction")];
  if (stats.statements) text.push(`and ${plural(stats.statements, "statement")}`);
  $("summary").textContent = text.join(" ");
  const [from, to] = span(stats);
  if (!(to > from)) return $("chart").replaceChildren();
  const fine = stats.intervalSeconds;
  const step = STEPS.find((one) => one >= (to - from) / BARS && one % fine === 0) || 86400 * 365;
  const bars = new Map();
  for (const interval of stats.intervals) {
    const at = Math.floor(Date.parse(interval.from) / 1000 / step) * step;
    const bar = bars.get(at) || { inserted: 0, updated: 0, deleted: 0, transactions: 0 };
    for (const name in bar) bar[name] += interval[name];
    bars.set(at, bar);
  }
  return paint(Math.floor(from / step) * step, Math.ceil(to / step) * step, step, bars);
}
/** The seconds that the chart shows: those asked for, else those that there are, never less than some. */
function span(stats) {
  const first = seconds($("start-time").value || stats.first || "");
  const last = seconds($("stop-time").value || stats.last || "");
  const [from, to] = [Math.floor(first), Math.floor(last) + ($("stop-time").value ? 0 : 1)];
  const missing = Math.max(0, 20 - (to - from));
  return [from - Math.floor(missing / 2), to + Math.ceil(missing / 2)];
}

function paint(from, to, step, bars) {
  const width = Math.max(320, $("chart").clientWidth), height = 168, left = 46, bottom = 22, top = 8;
  const x = (time) => left + ((time - from) / (to - from)) * (width - left - 8);
  const most = Math.max(1, ...[...bars.values()].map((bar) => bar.inserted + bar.updated + bar.deleted));
  const y = (rows) => height - bottom - (rows / most) * (height - bottom - top);
  const chart = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Rows by ${step} s from ${utc(from)} to ${utc(to)} UTC, at most ${most}` });
  for (const part of most > 3 ? [0, 0.5, 1] : [0, 1]) {
    const rows = Math.round(most * part);
    chart.append(svg("line", { x1: left, x2: width - 8, y1: y(rows), y2: y(rows) }), svg("text", { x: left - 7, y: y(rows) + 4, "text-anchor": "end" }, short(rows)));
  }
  for (const [at, words, anchor] of ticks(from, to, x, width)) chart.append(svg("text", { x: at, y: height - 5, "text-anchor": anchor }, words));
  const hover = svg("rect", { class: "hover", y: top, height: height - bottom - top, width: 0 });
  const picked = svg("rect", { class: "picked", y: top, height: height - bottom - top, width: 0 });
  chart.append(hover);
  const gap = x(from + step) - x(from) > 4 ? 1 : 0;
  for (const [at, bar] of bars) {
    let below = 0;
    for (const [name, kind] of KINDS) {
      if (!bar[name]) continue;
      const height = Math.max(1, y(below) - y(below + bar[name]));
      chart.append(svg("rect", { class: kind, x: x(at), y: y(below) - height, width: Math.max(1, x(at + step) - x(at) - gap), height }));
      below += bar[name];
    }
  }
  chart.append(picked);
  $("chart").replaceChildren(chart);
  let begun = null;
  const slot = (event) => {
    const at = from + ((event.clientX - chart.getBoundingClientRect().left - left) / (width - left - 8)) * (to - from);
    return Math.min(to - step, Math.max(from, Math.floor(at / step) * step));
  };
  const mark = (rect, a, b) => { rect.setAttribute("x", x(a)); rect.setAttribute("width", Math.max(0, x(b) - x(a))); };
  chart.addEventListener("pointerdown", (event) => { begun = slot(event); chart.setPointerCapture(event.pointerId); mark(picked, begun, begun + step); });
  chart.addEventListener("pointermove", (event) => {
    const at = slot(event), bar = bars.get(at);
    mark(hover, at, at + step);
    if (begun !== null) mark(picked, Math.min(begun, at), Math.max(begun, at) + step);
    const rows = bar ? KINDS.filter(([name]) => bar[name]).map(([name]) => `${count(bar[name])} ${name}`).join(", ") : "no rows";
    $("readout").textContent = begun === null || begun === at ? `${utc(at)}, ${step} s: ${rows || "no rows"}` : `${utc(Math.min(begun, at))} to ${utc(Math.max(begun, at) + step)}`;
  });
  chart.addEventListener("pointerup", (event) => {
    if (begun === null) return;
    const at = slot(event), [a, b] = [Math.min(begun, at), Math.max(begun, at) + step];
    begun = null;
    choose({ "start-time": utc(a), "stop-time": utc(b) });
  });
  chart.addEventListener("pointercancel", () => { begun = null; mark(picked, from, from); });
  chart.addEventListener("pointerleave", () => { if (begun === null) { mark(hover, from, from); $("readout").textContent = ""; } });
}
const short = (n) => (n < 1e4 ? String(n) : n < 1e6 ? `${+(n / 1e3).toFixed(1)}k` : `${+(n / 1e6).toFixed(1)}M`);
/** Where times are written below the chart: at round ones, days where they change. */
function ticks(from, to, x, width) {
  const step = STEPS.find((one) => (to - from) / one <= width / 130) || 31536000;
  const found = [];
  let day = "";
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    const text = utc(at), date = text.slice(0, 10);
    const words = step >= 86400 ? date : (date === day ? "" : `${date} `) + text.slice(11, step < 60 ? 19 : 16);
    const anchor = x(at) < 110 ? "start" : x(at) > width - 70 ? "end" : "middle";
    found.push([x(at), words, anchor]);
    day = date;
  }
  return found;
}
