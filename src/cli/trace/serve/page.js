"use strict";
// The filter stands in the address behind #, so that a view can be kept, sent on and gone back to. Everything that comes
// from a binlog is put in as text, never as markup.

const $ = (id) => document.getElementById(id);
const FIELDS = ["start-time", "stop-time", "where", "changed-column", "include-gtids", "thread-id"];
const KINDS = [["inserted", "i"], ["updated", "u"], ["deleted", "d"]];
const SIGNS = { inserted: "+", updated: "~", deleted: "\u2212" };
const SHOWN = 12; // columns of an insert or delete before the rest is asked for
const BARS = 160;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 2592000, 31536000];

/** An element: its tag with classes (`td.old`), its properties and attributes, its children. */
function el(kind, props = {}, ...children) {
  const [tag, ...classes] = kind.split(".");
  const made = document.createElement(tag);
  made.className = classes.join(" ");
  return fill(made, props, children);
}
function svg(tag, props = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), props, children);
}
function fill(made, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}
function show(id, text) {
  $(id).textContent = text || "";
  $(id).hidden = !text;
}

const count = (number) => Number(number).toLocaleString("en").replaceAll(",", "\u2009");
const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;
const bytes = (n) => (n < 1e4 ? `${n} B` : n < 1e7 ? `${(n / 1e3).toFixed(1)} kB` : n < 1e10 ? `${(n / 1e6).toFixed(1)} MB` : `${(n / 1e9).toFixed(1)} GB`);
const utc = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 19).replace("T", " ");
const clean = (iso) => iso.replace("T", " ").replace("Z", "").replace(/\.000000$/, "");

/** Seconds since 1970 of what a time field says; NaN where only the server can tell. */
function seconds(text) {
  const iso = text.trim().replace(" ", "T");
  return Date.parse(/([zZ]|[+-]\d\d:?\d\d)$/.test(iso) ? iso : `${iso}Z`) / 1000;
}

// ---- the filter

const filter = () => new URLSearchParams(location.hash.slice(1));
/** Changes the filter: a list or a text for each name, nothing to leave it out. */
function choose(changes) {
  const next = filter();
  for (const [name, value] of Object.entries(changes)) {
    next.delete(name);
    [value].flat().filter(Boolean).forEach((one) => next.append(name, one));
  }
  if (next.toString() === filter().toString()) load();
  else location.hash = next;
}
/** What the server is asked: the filter without what only the page knows. */
function asked(...without) {
  const query = filter();
  ["order", ...without].forEach((name) => query.delete(name));
  return query;
}
const order = () => (filter().get("order") === "oldest" ? "oldest" : "newest");

function showFilter() {
  const now = filter();
  FIELDS.forEach((name) => { $(name).value = now.get(name) || ""; });
  const events = now.getAll("event");
  document.querySelectorAll("[name=event]").forEach((box) => { box.checked = events.includes(box.value); });
  document.querySelectorAll("[data-order]").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.order === order())));
  $("whole").hidden = !now.has("start-time") && !now.has("stop-time");
  $("all-tables").hidden = !now.has("table");
}
function apply(event) {
  event.preventDefault();
  const changes = Object.fromEntries(FIELDS.map((name) => [name, $(name).value.trim()]));
  changes.event = [...document.querySelectorAll("[name=event]:checked")].map((box) => box.value);
  choose(changes);
}

// ---- asking

let loading = new AbortController();
async function ask(path, query, signal) {
  const answer = await fetch(`/api/${path}?${query}`, { signal });
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  throw new Error(said.error || `the server answers ${answer.status}`);
}
const json = async (...question) => (await ask(...question)).json();
/** What to say of an error; nothing where the question was given up. */
function said(error) {
  if (error.name === "AbortError") return "";
  return error instanceof TypeError ? "The server does not answer: is `trace serve` still running?" : error.message;
}

/** Says an error below the field that it is about, else at `id`. */
function fieldError(error, id) {
  const text = said(error);
  const about = FIELDS.find((name) => text.includes(`--${name}`));
  if (!about || !text) return show(id, text);
  $(about).setAttribute("aria-invalid", "true");
  if ($(`${about}-error`)) return undefined;
  const place = $(about).closest("label") ? $(about).closest("form") : $(about);
  place.after(el("p.error.field", { id: `${about}-error`, role: "alert" }, text));
  return undefined;
}
function forgetErrors() {
  document.querySelectorAll(".error.field").forEach((error) => error.remove());
  document.querySelectorAll("[aria-invalid]").forEach((field) => field.removeAttribute("aria-invalid"));
  ["overview-error", "changes-error", "all-error"].forEach((id) => show(id, ""));
}

async function load() {
  loading.abort();
  loading = new AbortController();
  const { signal } = loading;
  showFilter();
  forgetErrors();
  $("chart").classList.add("busy");
  $("changes").classList.add("busy");
  const overview = loadOverview(signal);
  const changes = loadChanges(signal, null);
  await Promise.allSettled([overview, changes]);
}

async function loadOverview(signal) {
  const wide = asked("table", "where", "changed-column");
  try {
    const every = await json("overview", wide, signal);
    drawTables(every.tables);
    drawChart(wide.toString() === asked().toString() ? every : await json("overview", asked(), signal));
  } catch (error) {
    if (error.name === "AbortError") return;
    drawn = null;
    ["chart", "legend", "summary"].forEach((id) => $(id).replaceChildren());
    fieldError(error, "overview-error");
  }
  if (!signal.aborted) $("chart").classList.remove("busy");
}

// ---- tables

function drawTables(tables) {
  const picked = filter().getAll("table");
  const rows = (table) => table.inserted + table.updated + table.deleted;
  const all = tables.map((table) => ({ ...table, name: `${table.database}.${table.table}` }));
  picked.filter((name) => !all.some((table) => table.name === name)).forEach((name) => all.push({ name, inserted: 0, updated: 0, deleted: 0 }));
  all.sort((a, b) => rows(b) - rows(a) || (a.name < b.name ? -1 : 1));
  $("find-table").hidden = all.length < 9;
  $("tables").replaceChildren(...all.map((table) => {
    const box = el("input", { type: "checkbox", value: table.name });
    box.checked = picked.includes(table.name);
    box.addEventListener("change", () => choose({ table: [...document.querySelectorAll("#tables input:checked")].map((one) => one.value) }));
    const counts = KINDS.filter(([name]) => table[name]).map(([name, kind]) => el(`span.${kind}`, { title: `${count(table[name])} ${name}` }, `${SIGNS[name]}\u2009${count(table[name])}`));
    return el("li", {}, el("label", {}, box, el("span.name", {}, table.name), el("span.sum.num.soft", {}, count(rows(table))), el("span.counts.num", {}, ...counts)));
  }));
  if (!all.length) $("tables").append(el("li.soft", {}, "No rows in this span."));
  findTable();
}
function findTable() {
  const wanted = $("find-table").hidden ? "" : $("find-table").value.toLowerCase();
  document.querySelectorAll("#tables li").forEach((item) => { item.hidden = !item.textContent.toLowerCase().includes(wanted); });
}

// ---- changes

let next = null;
async function loadChanges(signal, after) {
  const query = asked();
  query.set("order", order());
  if (after) query.set("after", after);
  $("more").disabled = true;
  show("changes-error", "");
  try {
    const page = await json("changes", query, signal);
    if (!after) $("changes").replaceChildren();
    page.changes.forEach(addChange);
    next = page.next;
    if (page.error) show("changes-error", page.error);
    $("nothing").hidden = $("changes").childElementCount > 0 || Boolean(page.error);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!after) { $("changes").replaceChildren(); next = null; $("nothing").hidden = true; }
    fieldError(error, "changes-error");
  }
  $("more").hidden = !next;
  $("more").disabled = false;
  if (!signal.aborted) $("changes").classList.remove("busy");
}

function addChange(change) {
  const place = `${change.file}:${change.position}`;
  let item = $("changes").lastElementChild;
  if (!item || item.dataset.place !== place) {
    item = transaction(change, place);
    $("changes").append(item);
  }
  item.append(changeOf(change));
}

function transaction(change, place) {
  const here = { file: change.file, position: change.position };
  const facts = [
    el("time", { class: "num", datetime: change.time }, clean(change.time)),
    change.gtid ? el("button.quiet.small", { type: "button", title: "Only this transaction", onclick: () => choose({ "include-gtids": change.gtid }) }, el("span.code", {}, change.gtid)) : null,
    el("span.code", { title: `File and position, server ${change.serverId}` }, place),
    change.threadId === null ? null : el("button.quiet.small.num", { type: "button", title: "Only this connection", onclick: () => choose({ "thread-id": String(change.threadId) }) }, `thread ${change.threadId}`),
  ];
  const item = el("li.tx", { "data-place": place });
  const head = el("div.bar", {}, el("div.facts", {}, ...facts.filter(Boolean)), copies(here, () => head, "transaction"));
  item.append(head);
  return item;
}

/** The buttons that show and copy statements; what comes stands behind `anchor`. */
function copies(place, anchor, of) {
  const button = (words, path) => el("button.small", { type: "button", title: `Copy the ${words} of this ${of}`, "data-copy": path, onclick: (event) => copy(event.currentTarget, path, place, anchor()) }, words);
  return el("span.acts", {}, button("SQL", "sql"), button("Rollback", "rollback"));
}

function changeOf(change) {
  const kind = { insert: "i", update: "u", delete: "d" }[change.event] || "s";
  const name = change.table === undefined ? change.database : `${change.database}.${change.table}`;
  const key = (change.columns || []).filter((column) => column.key);
  const before = change.event === "update" || change.event === "delete" ? "before" : "after";
  const keys = key.map((column) => `${column.name} = ${column[before] ?? column.after ?? "NULL"}`).join(", ");
  const title = el("div.bar", {}, el(`span.tag.${kind}`, {}, change.event), el("span.title", {}, name), keys ? el("span.code.soft", {}, keys) : null);
  const item = el("div.change", { "data-table": name, "data-event": change.event }, title);
  if (change.row) title.append(copies({ file: change.file, position: change.position, row: change.row }, () => item.lastElementChild, "change"));
  if (change.error) {
    item.append(el("p.error", { role: "alert" }, `${plural(change.rows, "row")} not shown. ${change.error}`));
  } else if (change.statement !== undefined) {
    item.append(el("pre.statement", {}, change.statement, ...rest(change.statementLength)));
  } else {
    item.append(...columnsOf(change));
  }
  return item;
}

/** The columns that changed; of an insert or a delete the first ones. The others on demand. */
function columnsOf(change) {
  const update = change.event === "update";
  const first = update ? change.columns.filter((column) => column.changed) : change.columns.slice(0, SHOWN);
  const others = change.columns.filter((column) => !first.includes(column));
  const body = el("tbody", {}, ...first.map((column) => rowOf(column, change.event)));
  const found = [el("table", {}, body)];
  if (others.length) {
    const more = el("button.quiet.small", { type: "button", "aria-expanded": "false" }, update ? `${plural(others.length, "other column")}` : `${plural(others.length, "more column")}`);
    more.addEventListener("click", () => { body.append(...others.map((column) => rowOf(column, change.event))); more.remove(); });
    found.push(more);
  }
  return found;
}
function rowOf(column, event) {
  const name = el(column.key ? "th.key" : "th", { scope: "row" }, column.name);
  if (event !== "update") {
    const side = event === "insert" ? "after" : "before";
    return el("tr", {}, name, el(`td.${event === "insert" ? "new" : "old"}`, { colspan: 3 }, value(column, side)));
  }
  if (!column.changed) return el("tr", {}, name, el("td", { colspan: 3 }, value(column, "before" in column ? "before" : "after")));
  return el("tr", {}, name, el("td.old", {}, value(column, "before")), el("td.arrow", { "aria-label": "becomes" }, "\u2192"), el("td.new", {}, value(column, "after")));
}
function value(column, side) {
  const text = column[side];
  if (text === undefined) return el("span.none", { title: "The row image lacks it (binlog_row_image)" }, "not in the binlog");
  if (text === null) return el("span.none", {}, "NULL");
  if (text === "") return el("span.none", {}, "empty");
  return el("div", {}, el("div.value", {}, text), ...rest(column[`${side}Length`]));
}
const rest = (length) => (length ? [el("div.none", {}, `\u2026 ${bytes(length)} in all, the SQL has them`)] : []);

// ---- statements to take along

const options = () => [...document.querySelectorAll("#options input:checked")].map((box) => box.name);
function statements(path, place) {
  const query = asked();
  Object.entries(place).forEach(([name, one]) => query.set(name, one));
  if (path === "rollback") options().forEach((name) => query.set(name, "true"));
  return query;
}

async function copy(button, path, place, anchor) {
  const holder = anchor.parentElement;
  const open = [...holder.children].find((child) => child.classList.contains("panel"));
  const panel = el("div.panel", { "data-of": path });
  if (open) open.remove();
  if (open && open.dataset.of === path) return;
  (anchor === open ? holder.lastElementChild : anchor).after(panel);
  button.disabled = true;
  try {
    const text = await (await ask(path, statements(path, place))).text();
    const note = el("span.soft", { role: "status" });
    const again = el("button.small", { type: "button", onclick: () => put(text, note) }, "Copy");
    panel.append(el("div.bar", {}, el("strong", {}, path === "sql" ? "SQL" : "Rollback"), again, note), el("pre.sql", { tabindex: "0" }, text));
    for (const line of text.split("\n").filter((one) => one.startsWith("-- warning: "))) panel.prepend(el("p.warning", {}, line.slice(12)));
    await put(text, note);
  } catch (error) {
    panel.append(el("p.error", { role: "alert" }, said(error)));
  }
  button.disabled = false;
}
/** Browsers keep the clipboard from pages that did not come over TLS or from this machine. */
async function put(text, note) {
  try {
    await navigator.clipboard.writeText(text);
    note.textContent = "copied";
  } catch {
    note.textContent = "the browser does not let the page copy: mark the text and copy it";
  }
}

/** A download is asked for twice: at first only for whether it is refused, which is said here. */
async function download(button, path) {
  const query = statements(path, {});
  const trial = new AbortController();
  button.disabled = true;
  show("all-error", "");
  try {
    await ask(path, query, trial.signal);
    trial.abort();
    el("a", { href: `/api/${path}?${query}`, download: true }).click();
  } catch (error) {
    show("all-error", said(error));
  }
  button.disabled = false;
}

// ---- the page

let drawn = null; // what the chart shows
async function begin() {
  document.querySelectorAll("[data-filter]").forEach((form) => form.addEventListener("submit", apply));
  document.querySelectorAll("[name=event]").forEach((box) => box.addEventListener("change", apply));
  document.querySelectorAll("[data-order]").forEach((button) => button.addEventListener("click", () => choose({ order: button.dataset.order })));
  $("whole").addEventListener("click", () => choose({ "start-time": "", "stop-time": "" }));
  $("all-tables").addEventListener("click", () => choose({ table: [] }));
  $("clear").addEventListener("click", () => { if (location.hash) location.hash = ""; });
  $("find-table").addEventListener("input", findTable);
  $("more").addEventListener("click", () => loadChanges(loading.signal, next));
  $("all-sql").addEventListener("click", (event) => download(event.currentTarget, "sql"));
  $("all-rollback").addEventListener("click", (event) => download(event.currentTarget, "rollback"));
  addEventListener("hashchange", load);
  addEventListener("resize", () => { if (drawn) drawChart(drawn); });
  load();
  try {
    const held = await json("holdings", "");
    const names = held.files.map((file) => file.name);
    const size = held.files.reduce((sum, file) => sum + file.bytes, 0);
    const files = names.length > 1 ? `${names[0]} to ${names[names.length - 1]} (${names.length} files)` : names[0] || "no files";
    const times = held.first ? `, ${clean(held.first).slice(0, 19)} to ${clean(held.last).slice(0, 19)} UTC` : "";
    $("files").textContent = `${files}, ${bytes(size)}${times}`;
    document.title = `Binlog changes: ${files}`;
    $("warnings").append(...held.warnings.map((text) => el("p.warning", {}, text)));
  } catch (error) {
    $("warnings").append(el("p.error", {}, said(error)));
  }
}
begin();
